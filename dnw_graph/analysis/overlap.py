"""What two wirings of one network have in common, and what they would have by chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnw_graph.analysis.chance import Spread, common_by_chance
from dnw_graph.analysis.measure import WHOLE, Key, Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.arguments import expect, several
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Ints, Layout, Stage


@dataclass(frozen=True)
class Overlap:
    """Of two wirings, or of one stage of them.

    one, other  edges of each
    common      edges that both have
    by_chance   common edges of two random graphs with as many edges in each stage
    by_density  common edges of two random graphs with as many edges from each kind of node to each kind, see
                `kinds_of`
    """

    one: int
    other: int
    common: int
    by_chance: Spread
    by_density: Spread

    @property
    def jaccard(self) -> float:
        """Common edges over edges of either: 1 for the same wiring, 0 for nothing in common.

        Source: Jaccard 1912, "The distribution of the flora in the alpine zone". 1 where neither has an edge.
        """
        return self._jaccard(self.common)

    def jaccard_of(self, chance: Spread) -> Spread:
        """Jaccard index at chance's mean number of common edges, and its spread to first order."""
        ends = self.one + self.other
        slope = ends / (ends - chance.mean) ** 2 if ends else 0.0
        return Spread(self._jaccard(chance.mean), slope * (chance.sd or 0.0))

    def _jaccard(self, common: float) -> float:
        either = self.one + self.other - common
        return common / either if either else 1.0


def kinds_of(layout: Layout) -> Ints:
    """Kind of each node, int64 [N]: nodes of one kind are interchangeable, for they have the same candidates.

    A level is one kind; but nodes that a readout node starts from (`carry`) are a kind of their own.
    """
    level = layout.per_node([entry.index for entry in layout.levels])
    twins = layout.carried_from()
    level[twins[twins >= 0]] += len(layout.levels)
    return level


def overlaps_of(one: Wiring, other: Wiring) -> tuple[Overlap, ...]:
    """Of each stage. Edges are the same if they join the same two nodes, that is if their ids are equal.

    Nodes of a hidden level are interchangeable: two trainings may find the same graph with its nodes in
    another order, which this does not see.
    Raises InputError for wirings of different networks.
    """
    check_wiring(one)
    check_wiring(other)
    if one.layout != other.layout:
        raise InputError(
            f"these wirings ({one.num_nodes:,} and {other.num_nodes:,} nodes) are of different networks and "
            "have no edge to compare; give wirings of one network"
        )
    kinds = kinds_of(one.layout)
    found = []
    for stage in one.layout.stages:
        mine, theirs = one.ids_of(stage.index), other.ids_of(stage.index)
        every = np.arange(stage.num_candidates)
        per_pair = zip(*(_by_kinds(stage, ids, kinds) for ids in (mine, theirs, every)), strict=True)
        found.append(
            Overlap(
                len(mine),
                len(theirs),
                len(np.intersect1d(mine, theirs, assume_unique=True)),
                common_by_chance([(len(mine), len(theirs), stage.num_candidates)]),
                common_by_chance(per_pair),
            )
        )
    return tuple(found)


def _by_kinds(stage: Stage, ids: Ints, kinds: Ints) -> list[int]:
    """Number of these edges for each pair of kinds."""
    source, target = stage.ends(ids)
    count = int(kinds.max()) + 1
    return np.bincount(kinds[source] * count + kinds[target], minlength=count**2).tolist()


def sum_of(overlaps: Sequence[Overlap]) -> Overlap:
    """Of the whole wirings, from those of all stages."""
    overlaps = several(overlaps, "overlaps", "what overlaps_of gives")
    for each in overlaps:
        expect(each, Overlap, "one of the overlaps", "what overlaps_of gives")
    return Overlap(
        sum(each.one for each in overlaps),
        sum(each.other for each in overlaps),
        sum(each.common for each in overlaps),
        _sum([each.by_chance for each in overlaps]),
        _sum([each.by_density for each in overlaps]),
    )


def _sum(parts: Sequence[Spread]) -> Spread:
    """Of independent numbers."""
    return Spread(sum(part.mean for part in parts), math.hypot(*(part.sd or 0.0 for part in parts)))


def overlap_numbers(one: Wiring, other: Wiring) -> tuple[Numbers, dict[Key, Spread]]:
    """(numbers of each stage and of the whole, what they would be by chance)"""
    stages = overlaps_of(one, other)
    places = [*(Place(stage=stage) for stage in range(len(stages))), WHOLE]
    numbers: Numbers = {}
    chances: dict[Key, Spread] = {}
    for place, found in zip(places, [*stages, sum_of(stages)], strict=True):
        numbers[place, "edges"], numbers[place, "other_edges"] = found.one, found.other
        for ending, chance in (("", found.by_chance), ("_by_density", found.by_density)):
            numbers[place, f"common{ending}"] = found.common
            numbers[place, f"jaccard{ending}"] = found.jaccard
            chances[place, f"common{ending}"] = chance
            chances[place, f"jaccard{ending}"] = found.jaccard_of(chance)
    return numbers, chances


OVERLAP = Measure(
    "overlap",
    "Overlap: edges that two wirings have in common, and what two random graphs would have",
    {
        "edges": "edges",
        "other_edges": "edges",
        "common": "edges",
        "jaccard": "share",
        "common_by_density": "edges",
        "jaccard_by_density": "share",
    },
)
