"""Communities of a stage."""

from __future__ import annotations

import numpy as np
import pytest

from dnw_graph.analysis.communities import COMMUNITIES, communities_of
from dnw_graph.analysis.measure import Place
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.wiring import wiring_from_ids
from dnw_graph.graph.layout import chain_of_stages


def test_communities_of_nine_nodes(nine):
    """Stage 0 is the triangle 0 2 4 and the edge 3→5: 3/4 - (6/8)² + 1/4 - (2/8)² = 3/8."""
    found = communities_of(nine, 0)
    assert [each.tolist() for each in found.members] == [[0, 2, 4], [3, 5]]
    assert found.modularity == pytest.approx(3 / 8)
    numbers = COMMUNITIES.numbers(nine)
    names = ("nodes", "communities", "largest")
    assert [numbers[Place(stage=0), name] for name in names] == [5, 2, 3]
    assert numbers[Place(stage=0), "modularity"] == pytest.approx(3 / 8)


def test_blocks_are_found_and_the_seed_decides_the_rest():
    """Two halves of a stage that no edge joins; the partition is the same for the same seed."""
    layout = chain_of_stages([(20, 20, 1, 1)])
    source, target = np.meshgrid(np.arange(20), np.arange(20, 40))
    same = (source < 10) == (target < 30)
    wiring = wiring_from_ids(layout, [layout.stages[0].ids(source[same], target[same])])
    found = communities_of(wiring, 0)
    assert [each.tolist() for each in found.members] == [
        [*range(10), *range(20, 30)],
        [*range(10, 20), *range(30, 40)],
    ]
    assert found.modularity == pytest.approx(0.5)
    (drawn,) = RandomGraphs(1).like(wiring)
    once, again = communities_of(drawn, 0, seed=5), communities_of(drawn, 0, seed=5)
    assert [each.tolist() for each in once.members] == [each.tolist() for each in again.members]
    assert once.modularity < 0.5


def test_a_stage_without_edges_has_none(layouts):
    empty = wiring_from_ids(layouts["chain"], [np.array([0]), np.array([], dtype=np.int64)])
    assert communities_of(empty, 1).members == ()
    assert COMMUNITIES.numbers(empty)[Place(stage=1), "communities"] == 0


def test_large_graphs_are_compared_with_fewer_random_ones():
    assert [COMMUNITIES.draws(10, edges) for edges in (32_000, 159_000, 754_000)] == [10, 2, 0]
