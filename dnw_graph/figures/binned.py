"""The adjacency of a wiring as densities of small groups of nodes, which no thin edge falls through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnw_graph.analysis.wiring import Wiring
from dnw_graph.graph.layout import Ints, Level, Stage
from dnw_graph.portable.graph import Array


@dataclass(frozen=True)
class Binned:
    """Candidate edges from one level to another, by groups of neighbouring nodes.

    edges, candidates  int64 [groups of the source level, groups of the target level]
    """

    source: Level
    target: Level
    edges: Ints
    candidates: Ints

    @property
    def percent(self) -> Array:
        """Edges per hundred candidates; NaN where there is no edge."""
        share = np.full(self.edges.shape, np.nan)
        return np.divide(100.0 * self.edges, self.candidates, out=share, where=self.edges > 0)


def binned(wiring: Wiring, stage: Stage, groups: int) -> list[Binned]:
    """Every pair of levels of a stage that candidate edges join.

    groups  of the largest level at most; smaller levels have groups of the same size, and a level of at most
            as many nodes as that has groups of one node
    """
    width = group_width(stage, groups)
    counts = {level.index: -(-level.size // width) for level in stage.levels}
    mine = np.flatnonzero(wiring.stage == stage.index)
    source, target = wiring.source[mine], wiring.target[mine]
    levels = wiring.level[source], wiring.level[target]
    found = []
    for sender, receiver in pairs_of(stage):
        rows, columns = counts[sender.index], counts[receiver.index]
        here = (levels[0] == sender.index) & (levels[1] == receiver.index)
        cell = _group(source[here], sender, rows) * columns + _group(target[here], receiver, columns)
        edges = np.bincount(cell, minlength=rows * columns).reshape(rows, columns)
        found.append(
            Binned(sender, receiver, edges, np.outer(_sizes(sender, rows), _sizes(receiver, columns)))
        )
    return found


def group_width(stage: Stage, groups: int) -> int:
    """Nodes of a group (a level's last ones may have fewer) where the largest level has `groups` of them."""
    return max(-(-level.size // groups) for level in stage.levels)


def pairs_of(stage: Stage) -> list[tuple[Level, Level]]:
    """(sending, receiving) levels that candidate edges join."""
    return [
        (sender, receiver)
        for sender, block in zip(stage.levels, stage.blocks, strict=False)
        for receiver in stage.levels
        if block.target <= receiver.first < block.target + block.num_targets
    ]


def range_of(shares: Sequence[Array]) -> tuple[float, float]:
    """Least and greatest value that is not NaN; (1, 100) where there is none."""
    least = [np.nanmin(each) for each in shares if not np.isnan(each).all()]
    most = [np.nanmax(each) for each in shares if not np.isnan(each).all()]
    return (float(min(least)), float(max(most))) if least else (1.0, 100.0)


def _group(nodes: Ints, level: Level, groups: int) -> Ints:
    return (nodes - level.first) * groups // level.size


def _sizes(level: Level, groups: int) -> Ints:
    return np.bincount(_group(np.arange(level.first, level.end), level, groups), minlength=groups)
