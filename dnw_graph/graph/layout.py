"""Levels, stages and the numbering of nodes and candidate edges.

Everything here follows from the network's architecture alone; no weight is looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnw_graph.graph.schedule import Schedule

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """Nodes that are evaluated together.

    first   global number of its first node
    size    number of nodes
    stage   stage in which the nodes receive; -1 for the stem's channels
    stride  of the node operation's convolution; 1 where there is no operation
    sends   whether its nodes have an operation (the last level has none)
    """

    index: int
    first: int
    size: int
    stage: int
    stride: int
    sends: bool

    @property
    def end(self) -> int:
        """One past the global number of the last node."""
        return self.first + self.size


@dataclass(frozen=True)
class Block:
    """The candidate edges that leave one source level: a dense matrix, row-major.

    Rows are the nodes [target, target + num_targets) of all later levels that the source
    level reaches, columns the nodes [source, source + num_sources) of the source level.
    `offset` is the id of position (0, 0) in the stage's parameter.
    """

    offset: int
    source: int
    num_sources: int
    target: int
    num_targets: int

    @property
    def size(self) -> int:
        return self.num_sources * self.num_targets

    @property
    def end(self) -> int:
        return self.offset + self.size


@dataclass(frozen=True)
class Stage:
    """The levels between two resolution changes; edges never leave it.

    `levels[0]` is the input level, which receives in the stage before (or from the stem).
    There is one block per sending level, in level order. The states of the last level start from those of
    the last `start` nodes of the level before (the readout of the tiny network); 0: from nothing.
    """

    index: int
    levels: tuple[Level, ...]
    blocks: tuple[Block, ...]
    start: int = 0

    @property
    def schedule(self) -> Schedule:
        """The order of work."""
        sizes = tuple(level.size for level in self.levels)
        return Schedule(sizes, tuple(block.num_targets for block in self.blocks), self.start)

    @property
    def num_candidates(self) -> int:
        """Number of edges that could exist; the length of the stage's parameter."""
        return self.blocks[-1].end

    @property
    def dense_edges(self) -> int:
        """Edges of the layer-by-layer network that this stage replaces (Σ of its 1×1 convolutions)."""
        return sum(a.size * b.size for a, b in zip(self.levels, self.levels[1:], strict=False))

    def ends(self, ids: Ints) -> tuple[Ints, Ints]:
        """Candidate ids [k] int64 → (source, target) global node numbers, each [k] int64.

        Raises ValueError for an id that no candidate edge has.
        """
        ids = np.asarray(ids, dtype=np.int64)
        if (wrong := ids[(ids < 0) | (ids >= self.num_candidates)]).size:
            last = self.num_candidates - 1
            raise ValueError(f"stage {self.index} has no candidate edge {wrong[0]}; ids run from 0 to {last}")
        starts = np.array([block.offset for block in self.blocks], dtype=np.int64)
        which = np.searchsorted(starts, ids, side="right") - 1
        local = ids - starts[which]
        columns = np.array([block.num_sources for block in self.blocks], dtype=np.int64)[which]
        first_source = np.array([block.source for block in self.blocks], dtype=np.int64)[which]
        first_target = np.array([block.target for block in self.blocks], dtype=np.int64)[which]
        return first_source + local % columns, first_target + local // columns

    def ids(self, source: Ints, target: Ints) -> Ints:
        """The inverse of `ends`; -1 where no candidate edge joins the two nodes."""
        source, target = np.asarray(source, dtype=np.int64), np.asarray(target, dtype=np.int64)
        ids = np.full(source.shape, -1, dtype=np.int64)
        for block in self.blocks:
            row, column = target - block.target, source - block.source
            inside = (row >= 0) & (row < block.num_targets) & (column >= 0) & (column < block.num_sources)
            ids[inside] = block.offset + row[inside] * block.num_sources + column[inside]
        return ids


@dataclass(frozen=True)
class Layout:
    """All levels and stages of a body, nodes numbered level by level.

    evaluations  None: images go through the levels once. Else the graph is that of one evaluation, states
                 before → states after, applied so many times; 0: as often as a solver chooses
    fed          number of the first nodes that the stem feeds, where it does not feed all of the first level
    """

    levels: tuple[Level, ...]
    stages: tuple[Stage, ...]
    evaluations: int | None = None
    fed: int | None = None

    @property
    def inputs(self) -> int:
        """Nodes of the first level that the stem feeds; the states of its others are 0 at first."""
        return self.fed or self.levels[0].size

    @property
    def num_nodes(self) -> int:
        return self.levels[-1].end

    @property
    def num_candidates(self) -> int:
        return sum(stage.num_candidates for stage in self.stages)

    def resolutions(self, side: int) -> list[int]:
        """Side of z per level, in pixels, for a stem that gives maps of `side` pixels."""
        sides = [side]
        for stage in self.stages:
            side = -(-side // stage.levels[0].stride)
            sides += [side] * (len(stage.levels) - 1)
        return sides

    def per_node(self, values: Sequence[int]) -> Ints:
        """One value per level → one per node [num_nodes] int64."""
        return np.repeat(np.asarray(values, dtype=np.int64), [level.size for level in self.levels])

    @property
    def has_starts(self) -> bool:
        """Whether some node starts from another's state."""
        return any(stage.start for stage in self.stages)

    def carried_from(self) -> Ints:
        """Per node, the node whose state it starts from, or -1. [num_nodes] int64."""
        twins = np.full(self.num_nodes, -1, dtype=np.int64)
        for stage in self.stages:
            if stage.start:
                last = stage.levels[-1]
                twins[last.first : last.end] = np.arange(last.first - stage.start, last.first)
        return twins


def chain_of_stages(table: Sequence[tuple[int, int, int, int]]) -> Layout:
    """Stages one after another; rows (input nodes, nodes per level, stride, number of levels).

    Within a stage every level reaches all later levels.
    """
    levels = [Level(0, 0, table[0][0], -1, table[0][2], True)]
    stages = []
    for index, (inputs, width, _, count) in enumerate(table):
        if inputs != levels[-1].size:
            raise ValueError(
                f"stage {index} wants {inputs} input nodes, but the level before has {levels[-1].size}"
            )
        is_last = index == len(table) - 1
        members = [levels[-1]]
        for position in range(count):
            at_end = position == count - 1
            stride = table[index + 1][2] if at_end and not is_last else 1
            before = members[-1]
            members.append(
                Level(before.index + 1, before.end, width, index, stride, not (at_end and is_last))
            )
        levels += members[1:]
        reach = [members[-1].index] * count
        stages.append(Stage(index, tuple(members), _blocks(members, reach)))
    return Layout(tuple(levels), tuple(stages))


def groups_with_readout(groups: Sequence[int], readout: int) -> Layout:
    """One stage of fully connectable groups, then a level that reads the last `readout` nodes.

    A readout node starts from the state of its twin among the last nodes of the last group and
    receives edges from that group only: the published tiny network, where the outputs feed
    themselves once more.
    """
    if not 0 < readout <= groups[-1]:
        raise ValueError(
            f"{readout} readout nodes need as many nodes in the last group, which has {groups[-1]}"
        )
    sizes = [*groups, readout]
    levels: list[Level] = []
    for index, size in enumerate(sizes):
        first = levels[-1].end if levels else 0
        levels.append(Level(index, first, size, 0 if index else -1, 1, index < len(groups)))
    last_group = len(groups) - 1
    reach = [last_group] * last_group + [last_group + 1]
    return Layout(tuple(levels), (Stage(0, tuple(levels), _blocks(levels, reach), readout),))


def one_evaluation(nodes: int, inputs: int, evaluations: int) -> Layout:
    """One stage of two levels, the states of all nodes before and after an evaluation; every edge can exist.

    inputs       the first nodes, which the stem feeds
    evaluations  how often the graph is applied; 0: as often as a solver chooses
    """
    levels = (Level(0, 0, nodes, -1, 1, True), Level(1, nodes, nodes, 0, 1, False))
    return Layout(levels, (Stage(0, levels, _blocks(levels, [1])),), evaluations, inputs)


def _blocks(levels: Sequence[Level], reach: Sequence[int]) -> tuple[Block, ...]:
    """reach: per sending level, the index of the last level that it may send to."""
    ends = {level.index: level.end for level in levels}
    blocks: list[Block] = []
    for level, following, last in zip(levels, levels[1:], reach, strict=False):
        offset = blocks[-1].end if blocks else 0
        blocks.append(Block(offset, level.first, level.size, following.first, ends[last] - following.first))
    return tuple(blocks)
