"""Backend `dense`: a matrix product with zeros for the edges that are not selected."""

from __future__ import annotations

from torch import Tensor

from dnw_graph.message_passing.backend import Backend, register_backend
from dnw_graph.message_passing.edge_index import rows_of


@register_backend
class Dense(Backend):
    """The masked dense product of the 2019 code; it multiplies every candidate edge."""

    name = "dense"

    def reason(self) -> str | None:
        return None

    def aggregate(self, h: Tensor, value: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        return _matrix(value, pointer, source, h.shape[0]) @ h

    def transposed(
        self, g: Tensor, value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        return _matrix(value, pointer, source, num_sources).t() @ g

    def edge_gradient(self, g: Tensor, h: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        return (g @ h.t())[rows_of(pointer, source.numel()), source]

    def executed_macs(self, num_edges: int, num_targets: int, num_sources: int, columns: int) -> int:
        return num_targets * num_sources * columns if num_edges else 0


def _matrix(value: Tensor, pointer: Tensor, source: Tensor, num_sources: int) -> Tensor:
    """Edges as a matrix [T, S]."""
    matrix = value.new_zeros(pointer.numel() - 1, num_sources)
    matrix[rows_of(pointer, source.numel()), source] = value
    return matrix
