"""Path counts: by hand, by enumeration, and where 64 bits are not enough."""

from __future__ import annotations

from collections import Counter
from math import comb

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.paths import PATHS, paths_of
from dnw_graph.analysis.wiring import wiring_from_ids
from dnw_graph.graph.layout import chain_of_stages, groups_with_readout


def enumerate_paths(wiring) -> tuple[Counter, Counter]:
    """(paths by length, paths through each node), one path after another; a carry has no length."""
    graph = nx.MultiDiGraph()
    graph.add_nodes_from(range(wiring.num_nodes))
    graph.add_edges_from(zip(wiring.source.tolist(), wiring.target.tolist(), strict=True), length=1)
    for node, twin in enumerate(wiring.layout.carried_from().tolist()):
        if twin >= 0:
            graph.add_edge(twin, node, length=0)
    last = wiring.layout.levels[-1]
    outputs = [last.first + n for n in range(last.size) if wiring.read[n]]
    lengths, through = Counter(), Counter()
    for channel in range(wiring.layout.levels[0].size):
        for path in nx.all_simple_edge_paths(graph, channel, outputs):
            lengths[sum(graph.edges[edge]["length"] for edge in path)] += 1
            through.update([channel, *(target for _, target, _ in path)])
    return lengths, through


def test_nine_nodes_have_two_paths(nine):
    """0→4→6 and 0→2→4→6."""
    paths = paths_of(nine)
    assert paths.by_length == (0, 0, 1, 1)
    assert (paths.total, paths.mean_length) == (2, 2.5)
    assert paths.through == (2, 0, 1, 0, 2, 0, 2, 0, 0)
    assert paths.share_through().tolist() == [1, 0, 0.5, 0, 1, 0, 1, 0, 0]
    assert PATHS.numbers(nine) == {
        (Place(bin=2), "paths"): 1,
        (Place(bin=2), "share"): 0.5,
        (Place(bin=3), "paths"): 1,
        (Place(bin=3), "share"): 0.5,
        (WHOLE, "paths"): 2,
        (WHOLE, "mean_length"): 2.5,
    }


def test_a_wiring_without_paths(layouts):
    empty = wiring_from_ids(layouts["chain"], [np.array([], dtype=np.int64)] * 2)
    paths = paths_of(empty)
    assert (paths.total, paths.by_length, paths.mean_length) == (0, (0,), None)
    assert paths.share_through().sum() == 0
    assert PATHS.numbers(empty) == {(WHOLE, "paths"): 0}


def test_the_carry_is_a_path_of_its_own():
    """0 → 1, whose twin is 2: once by the carry (1 edge), once by the edge 1 → 2 (2 edges)."""
    layout = groups_with_readout([1, 1], 1)
    assert paths_of(wiring_from_ids(layout, [np.array([0])])).by_length == (0, 1)
    assert paths_of(wiring_from_ids(layout, [np.array([0, 1])])).by_length == (0, 1, 1)


@pytest.mark.parametrize("name", ["chain", "readout"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_enumeration_finds_as_many(name, layouts, wirings, data):
    wiring = data.draw(wirings(layouts[name]))
    paths = paths_of(wiring)
    lengths, through = enumerate_paths(wiring)
    assert {length: n for length, n in enumerate(paths.by_length) if n} == lengths
    assert {node: n for node, n in enumerate(paths.through) if n} == through


def test_counts_beyond_64_bits_are_exact():
    """A complete graph of 31 levels of 10 nodes has C(29, n - 1) · 10^(n + 1) paths of n edges."""
    layout = chain_of_stages([(10, 10, 1, 30)])
    complete = wiring_from_ids(layout, [np.arange(layout.num_candidates)])
    paths = paths_of(complete)
    assert paths.by_length == (0, *(comb(29, n - 1) * 10 ** (n + 1) for n in range(1, 31)))
    assert paths.total == 100 * 11**29 > 2**64
    assert paths.through[0] == paths.total // 10
