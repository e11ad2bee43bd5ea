"""Backend `dense`: a matrix product with zeros for the edges that are not selected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from dnw_graph.message_passing.backend import Backend, register_backend
from dnw_graph.message_passing.edge_index import rows_of
from dnw_graph.message_passing.stage_index import StageIndex


@register_backend
class Dense(Backend):
    """The masked dense product of the 2019 code; it multiplies every candidate edge."""

    name = "dense"

    def reason(self) -> str | None:
        return None

    def aggregate(self, h: Tensor, value: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        return _matrix(value, pointer, source, h.shape[0]) @ h

    def accumulate(
        self, z: Sequence[Tensor], h: Tensor, value: Tensor, pointer: Tensor, source: Tensor, *, add: bool
    ) -> None:
        _send(_matrix(value, pointer, source, h.shape[0]), z, h, add=add)

    def transposed(
        self, g: Tensor, value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        return self.transposed_of_pieces((g,), value, pointer, source, num_sources)

    def transposed_of_pieces(
        self, g: Sequence[Tensor], value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        return _send_back(_matrix(value, pointer, source, num_sources), g)

    def edge_gradient(self, g: Tensor, h: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        return (g @ h.t())[rows_of(pointer, source.numel()), source]

    def executed_macs(self, num_edges: int, num_targets: int, num_sources: int, columns: int) -> int:
        return num_targets * num_sources * columns if num_edges else 0

    def by_stage(self, device: torch.device) -> bool:
        # Elsewhere the host would wait for the number of edges of each block.
        return device.type != "cpu"

    def accumulate_block(
        self, z: Sequence[Tensor], h: Tensor, value: Tensor, index: StageIndex, block: int, *, add: bool
    ) -> None:
        _send(_matrix_of_block(value, index, block), z, h, add=add)

    def transposed_block(self, g: Sequence[Tensor], value: Tensor, index: StageIndex, block: int) -> Tensor:
        return _send_back(_matrix_of_block(value, index, block), g)

    def executed_macs_of_stage(self, num_edges: int, blocks: Sequence[tuple[int, int]], columns: int) -> int:
        return sum(targets * sources for targets, sources in blocks) * columns if num_edges else 0


def _send(matrix: Tensor, z: Sequence[Tensor], h: Tensor, *, add: bool) -> None:
    """Write or add matrix [T, S] · h [S, D] to the rows of z [t_i, D]."""
    for part, rows in zip(z, matrix.split([part.shape[0] for part in z]), strict=True):
        part.addmm_(rows, h) if add else torch.mm(rows, h, out=part)


def _send_back(matrix: Tensor, g: Sequence[Tensor]) -> Tensor:
    """matrix [T, S] transposed · the rows of g [t_i, D] → [S, D]."""
    parts = matrix.split([part.shape[0] for part in g])
    d = parts[0].t() @ g[0]
    for rows, part in zip(parts[1:], g[1:], strict=True):
        d.addmm_(rows.t(), part)
    return d


def _matrix(value: Tensor, pointer: Tensor, source: Tensor, num_sources: int) -> Tensor:
    """Edges as a matrix [T, S]."""
    matrix = value.new_zeros(pointer.numel() - 1, num_sources)
    matrix[rows_of(pointer, source.numel()), source] = value
    return matrix


# Of all blocks of a stage, one after the other: written once per step, for as long as the values live.
_masked = WeakIdKeyDictionary()


def _matrix_of_block(value: Tensor, index: StageIndex, block: int) -> Tensor:
    """Edges of one block as a matrix [T, S]; value [k]: of all edges of the stage, and not to change."""
    if value not in _masked:
        flat = value.new_zeros(sum(targets * sources for targets, sources in index.blocks))
        flat[index.position] = value
        _masked[value] = flat
    before = sum(targets * sources for targets, sources in index.blocks[:block])
    targets, sources = index.blocks[block]
    return _masked[value][before : before + targets * sources].view(targets, sources)
