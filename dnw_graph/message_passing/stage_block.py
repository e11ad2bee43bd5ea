"""One sending level of a stage: where its parts lie in the stage's tensors, and its two products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from torch import Tensor

from dnw_graph.message_passing.backend import Backend
from dnw_graph.message_passing.stage_index import StageIndex


@dataclass(frozen=True)
class Place:
    """Where a sending level lies.

    level       its number in the stage, from 0
    nodes       of the level, among those of all sending levels
    states      rows of its states in the matrix of the levels between first and last; level 0 has none
    later       rows of the levels after it in that matrix
    last        whether its edges also reach the last level, whose states are a matrix of their own
    size, targets  nodes of the level; nodes that its edges may reach
    pixels      of a map that it sends
    candidates  its part of the stage's flat parameter
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

    def reached(self, states: Tensor, last: Tensor) -> list[Tensor]:
        """The target rows [t_i, D], as one or two matrices; both given as [nodes, B, H, W]."""
        pieces = [states[self.later], last] if self.last else [states[self.later]]
        columns = last.shape[1:].numel()
        return [piece.reshape(-1, columns) for piece in pieces if piece.shape[0]]


def places_of(sizes: Sequence[int], targets: Sequence[int], pixels: int) -> list[Place]:
    """All sending levels in order.

    sizes    nodes of all levels of the stage, the last one included
    targets  per sending level, the nodes that its edges may reach: all later levels, or all but the last
    """
    bounds = [0, *accumulate(sizes)]
    inner, last = bounds[1], bounds[-2]
    places: list[Place] = []
    for level, reach in enumerate(targets):
        first, end = bounds[level], bounds[level + 1]
        if reach not in (bounds[-1] - end, last - end):
            raise ValueError(f"level {level} has {reach} targets, not those of the levels after it: {sizes}")
        offset = places[-1].candidates.stop if places else 0
        places.append(
            Place(
                level=level,
                nodes=slice(first, end),
                states=slice(max(0, first - inner), end - inner),
                later=slice(end - inner, last - inner),
                last=reach == bounds[-1] - end,
                size=end - first,
                targets=reach,
                pixels=pixels,
                candidates=slice(offset, offset + (end - first) * reach),
            )
        )
    return places


@dataclass(frozen=True)
class Block:
    """The selected edges that leave one level: pointer, source, position as in `EdgeIndex`, value [e]."""

    place: Place
    value: Tensor
    pointer: Tensor
    source: Tensor
    position: Tensor

    @property
    def edges(self) -> int:
        """Number of edges, as far as the host knows."""
        return self.source.numel()

    def send(self, engine: Backend, z: Sequence[Tensor], h: Tensor, *, add: bool) -> None:
        """Write or add to the rows of z [t_i, D] what h [S, D] sends them."""
        engine.accumulate(z, h, self.value, self.pointer, self.source, add=add)

    def send_back(self, engine: Backend, g: Sequence[Tensor]) -> Tensor:
        """The transposed product of the rows of g [t_i, D] → [S, D]."""
        return engine.transposed_of_pieces(g, self.value, self.pointer, self.source, self.place.size)


@dataclass(frozen=True)
class BlockOfWhole(Block):
    """The same by the index of the whole stage, of which the host knows no block's number of edges."""

    index: StageIndex

    def send(self, engine: Backend, z: Sequence[Tensor], h: Tensor, *, add: bool) -> None:
        engine.accumulate_block(z, h, self.value, self.index, self.place.level, add=add)

    def send_back(self, engine: Backend, g: Sequence[Tensor]) -> Tensor:
        return engine.transposed_block(g, self.value, self.index, self.place.level)


def blocks_of(
    weight: Tensor,
    pointer: Sequence[Tensor],
    source: Sequence[Tensor],
    position: Sequence[Tensor],
    places: Sequence[Place],
) -> list[Block]:
    """The blocks of a stage in level order.

    pointer, source, position  of each block (`EdgeIndex`), or one of each for the whole stage (`StageIndex`)
    """
    if len(pointer) == len(places):
        parts = zip(places, pointer, source, position, strict=True)
        return [
            Block(place, weight[place.candidates][ids], ends, columns, ids)
            for place, ends, columns, ids in parts
        ]
    (ends,), (columns,), (ids,) = pointer, source, position
    rows = tuple(accumulate((place.targets for place in places), initial=0))
    first = tuple(accumulate((place.size for place in places), initial=0))
    index = StageIndex(ends, columns, ids, rows, first)
    return [BlockOfWhole(place, weight[ids], ends, columns, ids, index) for place in places]
