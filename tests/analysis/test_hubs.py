"""Hubs: the threshold by enumeration, chance, and the list of the busiest nodes."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from dnw_graph.analysis.hubs import BUSIEST, CHANCE, HUBS, _least, hubs_of, top_share
from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.wiring import wiring_from_ids
from dnw_graph.graph.layout import chain_of_stages

LAYOUT = chain_of_stages([(20, 20, 1, 2), (20, 10, 2, 1)])


@pytest.mark.parametrize(
    ("candidates", "own", "drawn", "nodes"), [(12, 4, 4, 2), (60, 10, 20, 7), (200, 20, 30, 3)]
)
def test_the_threshold_is_the_smallest_that_chance_rarely_reaches(candidates, own, drawn, nodes):
    def tail(degree: int) -> float:
        ways = (comb(own, d) * comb(candidates - own, drawn - d) for d in range(degree, min(own, drawn) + 1))
        return sum(ways) / comb(candidates, drawn)

    least = _least(candidates, own, drawn, nodes)
    assert nodes * tail(least) <= CHANCE < nodes * tail(least - 1)


def test_a_node_with_all_edges_is_a_hub():
    """All 40 edges of stage 0 leave channel 3; all 10 of stage 1 arrive at node 60."""
    target = np.arange(20, 60)
    first = LAYOUT.stages[0].ids(np.full(40, 3), target)
    second = LAYOUT.stages[1].ids(np.arange(40, 50), np.full(10, 60))
    wiring = wiring_from_ids(LAYOUT, [first, second])
    hubs = hubs_of(wiring)
    assert np.flatnonzero(hubs.outward).tolist() == [3]
    assert np.flatnonzero(hubs.inward).tolist() == [60]
    numbers = HUBS.numbers(wiring)
    assert numbers[Place(level=0), "out_hubs"] == numbers[WHOLE, "out_hubs"] == 1
    assert numbers[Place(level=3), "in_hubs"] == numbers[WHOLE, "in_hubs"] == 1


def test_random_graphs_have_hardly_any_hub():
    """Three levels send and three receive: at most 6 % of 200 graphs have a hub on average, 12 ± 3.4."""
    start = wiring_from_ids(LAYOUT, [np.arange(200), np.arange(60)])
    with_hubs = [bool((h.inward | h.outward).any()) for h in map(hubs_of, RandomGraphs(200).like(start))]
    assert sum(with_hubs) <= 25


def test_the_busiest_of_nine_nodes(nine):
    """Degrees 2 0 2 1 3 3 2 1 0: nodes 4 and 5 first, then 0, 2 and 6."""
    numbers = BUSIEST.numbers(nine)
    assert [numbers[Place(bin=rank), "node"] for rank in range(1, 10)] == [4, 5, 0, 2, 6, 3, 7, 1, 8]
    first = {name: value for (place, name), value in numbers.items() if place.bin == 1}
    assert first == {
        "node": 4,
        "node_level": 2,
        "degree": 3,
        "in_degree": 2,
        "out_degree": 1,
        "path_share": 1.0,
    }


def test_the_share_of_the_busiest():
    """The busiest of ten nodes has 10 of 20 edge ends; 11 % of ten nodes are two."""
    degree = np.array([1, 1, 1, 1, 10, 1, 1, 1, 1, 2])
    assert top_share(degree, 10) == 0.5
    assert top_share(degree, 11) == 0.6
    assert top_share(np.zeros(3, dtype=np.int64), 10) == 0
