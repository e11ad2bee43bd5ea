"""Where the parts of one sending level lie in the tensors of its stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from torch import Tensor


@dataclass(frozen=True)
class Block:
    """The edges that leave one level of a stage.

    nodes       of the level, among those of all sending levels
    states      rows of its states in the matrix of the levels between first and last; level 0 has none
    later       rows of the levels after it in that matrix
    last        whether its edges also reach the last level, whose states are a matrix of their own
    size, targets  nodes of the level; nodes that its edges may reach
    candidates  its part of the stage's flat parameter
    value       weight of each selected edge [e]
    pixels      of a map that it sends
    pointer, source, position  its selected edges, see `EdgeIndex`
    """

    level: int
    nodes: slice
    states: slice
    later: slice
    last: bool
    size: int
    targets: int
    pixels: int
    candidates: slice
    value: Tensor
    pointer: Tensor
    source: Tensor
    position: Tensor

    def reached(self, states: Tensor, last: Tensor) -> list[Tensor]:
        """The block's target rows [t_i, D], as one or two matrices; both given as [nodes, B, H, W]."""
        pieces = [states[self.later], last] if self.last else [states[self.later]]
        columns = last.shape[1:].numel()
        return [piece.reshape(-1, columns) for piece in pieces if piece.shape[0]]


def blocks_of(
    weight: Tensor,
    pointer: Sequence[Tensor],
    source: Sequence[Tensor],
    position: Sequence[Tensor],
    sizes: Sequence[int],
    pixels: int,
) -> list[Block]:
    """The blocks of a stage in level order; sizes are the nodes of all its levels, the last one included."""
    bounds = [0, *accumulate(sizes)]
    inner, last = bounds[1], bounds[-2]
    blocks, offset = [], 0
    for level, index in enumerate(zip(pointer, source, position, strict=True)):
        first, end = bounds[level], bounds[level + 1]
        targets = index[0].numel() - 1
        if targets not in (bounds[-1] - end, last - end):
            raise ValueError(f"level {level} has {targets} targets, not those of the levels after it {sizes}")
        candidates = slice(offset, offset + (end - first) * targets)
        offset = candidates.stop
        blocks.append(
            Block(
                level,
                slice(first, end),
                slice(max(0, first - inner), end - inner),
                slice(end - inner, last - inner),
                targets == bounds[-1] - end,
                end - first,
                targets,
                pixels,
                candidates,
                weight[candidates][index[2]],
                *index,
            )
        )
    return blocks
