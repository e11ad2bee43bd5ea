"""Live, constant and dead nodes."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.graph.layout import Layout, chain_of_stages, groups_with_readout
from dnw_graph.graph.status import CONSTANT, DEAD, LIVE, edge_is_live
from dnw_graph.program.status import node_status

CHAIN = chain_of_stages([(3, 4, 1, 2), (4, 3, 2, 3)])
READOUT = groups_with_readout([3, 4, 4], 3)


def status_by_paths(layout: Layout, source, target, read) -> list[int]:
    """The definition: for each node, is there a path from the stem, is there one to the classifier?"""
    graph = nx.DiGraph()
    graph.add_nodes_from(range(layout.num_nodes))
    graph.add_edges_from(zip(source.tolist(), target.tolist(), strict=True))
    graph.add_edges_from(
        (twin, node) for node, twin in enumerate(layout.carried_from().tolist()) if twin >= 0
    )
    stem = range(layout.levels[0].size)
    last = layout.levels[-1]
    classifier = [last.first + n for n in range(last.size) if read is None or read[n]]
    codes = []
    for node in range(layout.num_nodes):
        if not any(nx.has_path(graph, node, output) for output in classifier):
            codes.append(DEAD)
        elif any(nx.has_path(graph, channel, node) for channel in stem):
            codes.append(LIVE)
        else:
            codes.append(CONSTANT)
    return codes


@pytest.mark.parametrize("layout", [CHAIN, READOUT], ids=["chain", "readout"])
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_status_is_what_the_paths_say(layout, data):
    ends = []
    for stage in layout.stages:
        picks = data.draw(
            st.sets(st.integers(0, stage.num_candidates - 1), max_size=stage.num_candidates // 3)
        )
        ends.append(stage.ends(np.array(sorted(picks), dtype=np.int64)))
    source, target = (np.concatenate(parts) for parts in zip(*ends, strict=True))
    size = layout.levels[-1].size
    read = data.draw(st.none() | st.lists(st.booleans(), min_size=size, max_size=size).map(np.array))
    assert node_status(layout, source, target, read).tolist() == status_by_paths(layout, source, target, read)


def test_a_wiring_without_edges_has_dead_stem_and_constant_outputs():
    nothing = np.empty(0, dtype=np.int64)
    assert node_status(CHAIN, nothing, nothing).tolist() == [DEAD] * 14 + [DEAD] * 3 + [CONSTANT] * 3


def test_the_carry_makes_a_readout_node_as_live_as_its_twin():
    """Node 0 → node 8 of the last group, whose twin is readout node 11; 9 and 10 send constants on."""
    status = node_status(READOUT, np.array([0]), np.array([8]))
    assert status[[0, 8, 11]].tolist() == [LIVE] * 3
    assert status[[9, 10, 12, 13]].tolist() == [CONSTANT] * 4
    assert status[[1, 2, 3, 7]].tolist() == [DEAD] * 4


def test_an_edge_is_live_if_both_ends_are():
    status = np.array([LIVE, LIVE, CONSTANT, DEAD])
    source, target = np.array([0, 0, 2, 3]), np.array([1, 2, 1, 1])
    assert edge_is_live(status, source, target).tolist() == [True, False, False, False]
