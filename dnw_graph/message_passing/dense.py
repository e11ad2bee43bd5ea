"""Backend `dense`: a matrix product with zeros for the edges that are not selected."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from dnw_graph.message_passing.backend import Backend, joined, register_backend
from dnw_graph.message_passing.edge_index import EdgeIndex


@register_backend
class Dense(Backend):
    """The masked dense product of the 2019 code; it multiplies every candidate edge."""

    name = "dense"

    def reason(self) -> str | None:
        return None

    def slices(self, device: torch.device) -> bool:
        # Elsewhere the host would wait for the number of edges of each block.
        return device.type != "cpu"

    def send(
        self,
        index: EdgeIndex,
        value: Tensor,
        h: Tensor,
        into: Sequence[Tensor] | None = None,
        *,
        add: bool = False,
    ) -> Sequence[Tensor]:
        matrix = _matrix(index, value)
        if into is None:
            return (matrix @ h,)
        for part, rows in zip(into, matrix.split([part.shape[0] for part in into]), strict=True):
            part.addmm_(rows, h) if add else torch.mm(rows, h, out=part)
        return into

    def send_back(self, index: EdgeIndex, value: Tensor, g: Sequence[Tensor]) -> Tensor:
        parts = _matrix(index, value).split([part.shape[0] for part in g])
        d = parts[0].t() @ g[0]
        for rows, part in zip(parts[1:], g[1:], strict=True):
            d.addmm_(rows.t(), part)
        return d

    def edge_gradient(self, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> Tensor:
        return (joined(g) @ h.t())[index.targets(), index.source]

    def executed_macs(self, num_edges: int, blocks: Sequence[tuple[int, int]], columns: int) -> int:
        return sum(targets * sources for targets, sources in blocks) * columns if num_edges else 0


# All blocks of a stage, one after the other: made once per step, and kept as long as the values live.
_of_stage = WeakIdKeyDictionary()


def _matrix(index: EdgeIndex, value: Tensor) -> Tensor:
    """The edges of a block as a matrix [T, S]. Of a slice, `value` is not to change."""
    if index.sliced is None:
        matrix = value.new_zeros(index.num_targets, index.num_sources)
        matrix[index.targets(), index.source] = value
        return matrix
    if value not in _of_stage:
        flat = value.new_zeros(sum(targets * sources for targets, sources in index.blocks))
        flat[index.position] = value
        _of_stage[value] = flat
    before = sum(targets * sources for targets, sources in index.blocks[: index.sliced])
    targets, sources = index.blocks[index.sliced]
    return _of_stage[value][before : before + targets * sources].view(targets, sources)
