"""Degrees, densities, spans, statuses and sizes: by hand on nine nodes, by networkx on any graph."""

from __future__ import annotations

from collections import Counter

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.analysis.degrees import DEGREE_DISTRIBUTION, DEGREES, degrees_of
from dnw_graph.analysis.densities import DENSITIES, densities_of
from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.size import SIZE
from dnw_graph.analysis.spans import SPANS, spans_of
from dnw_graph.analysis.statuses import STATUSES, status_counts


def graph_of(wiring) -> nx.DiGraph:
    graph = nx.DiGraph()
    graph.add_nodes_from((node, {"level": level}) for node, level in enumerate(wiring.level.tolist()))
    graph.add_edges_from(zip(wiring.source.tolist(), wiring.target.tolist(), strict=True))
    return graph


def test_degrees_of_nine_nodes(nine):
    degrees = degrees_of(nine)
    assert degrees.inward.tolist() == [0, 0, 1, 0, 2, 1, 2, 1, 0]
    assert degrees.outward.tolist() == [2, 0, 1, 1, 1, 2, 0, 0, 0]
    numbers = DEGREES.numbers(nine)
    assert [numbers[Place(level=0), f"out_{name}"] for name in ("mean", "sd", "max", "zero")] == [1, 1, 2, 1]
    assert [numbers[Place(level=3), f"in_{name}"] for name in ("mean", "max", "zero")] == [1, 2, 1]
    assert (Place(level=0), "in_mean") not in numbers
    # Level 1: in 1 and 0, out 1 and 1. Level 2: in 2 and 1, out 1 and 2.
    assert (Place(level=1), "in_out_correlation") not in numbers
    assert numbers[Place(level=2), "in_out_correlation"] == pytest.approx(-1)
    assert (Place(level=3), "out_mean") not in numbers


def test_degree_distributions_of_nine_nodes(nine):
    numbers = DEGREE_DISTRIBUTION.numbers(nine)
    assert {key: nodes for key, nodes in numbers.items() if key[0].level in (0, 3)} == {
        (Place(level=0, bin=0), "out_nodes"): 1,
        (Place(level=0, bin=2), "out_nodes"): 1,
        (Place(level=3, bin=0), "in_nodes"): 1,
        (Place(level=3, bin=1), "in_nodes"): 1,
        (Place(level=3, bin=2), "in_nodes"): 1,
    }


def test_densities_of_nine_nodes(nine):
    densities = densities_of(nine)
    assert densities.edges.tolist() == [[0, 1, 1, 0], [0, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 0]]
    assert densities.candidates.tolist() == [[0, 4, 4, 0], [0, 0, 4, 0], [0, 0, 0, 6], [0, 0, 0, 0]]
    assert densities.density[1, 2] == 0.5
    assert np.isnan(densities.density[0, 3])
    numbers = DENSITIES.numbers(nine)
    assert numbers[Place(level=0, to_level=2), "density"] == 0.25
    assert {place[:3] for place, _ in numbers} == {(None, 0, 1), (None, 0, 2), (None, 1, 2), (None, 2, 3)}


def test_one_edge_of_nine_nodes_skips_a_level(nine):
    assert spans_of(nine).tolist() == [1, 2, 1, 1, 1, 1, 1]
    assert SPANS.numbers(nine) == {
        (Place(bin=1), "edges"): 6,
        (Place(bin=1), "share"): 6 / 7,
        (Place(bin=2), "edges"): 1,
        (Place(bin=2), "share"): 1 / 7,
        (WHOLE, "skipping_edges"): 1,
        (WHOLE, "skipping_share"): 1 / 7,
    }


def test_statuses_of_nine_nodes(nine):
    """Live 0 2 4 6, constant 3 5 7 8, dead 1; edges 0→2 0→4 2→4 4→6 are live."""
    assert status_counts(nine).tolist() == [[1, 0, 1], [0, 1, 1], [0, 1, 1], [0, 2, 1]]
    numbers = STATUSES.numbers(nine)
    assert [numbers[WHOLE, name] for name in ("live", "constant", "dead")] == [4, 4, 1]
    assert numbers[Place(level=3), "constant_share"] == 2 / 3
    assert (numbers[WHOLE, "live_edges"], numbers[WHOLE, "live_edges_share"]) == (4, 4 / 7)


def test_sizes_of_nine_nodes(nine):
    numbers = SIZE.numbers(nine)
    names = ("nodes", "edges", "candidates", "density")
    assert [numbers[Place(stage=0), name] for name in names] == [4, 4, 12, 1 / 3]
    assert [numbers[Place(stage=1), name] for name in names] == [3, 3, 6, 1 / 2]
    assert [numbers[WHOLE, name] for name in names] == [9, 7, 18, 7 / 18]


@pytest.mark.parametrize("name", ["chain", "readout"])
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_networkx_counts_the_same(name, layouts, wirings, data):
    wiring = data.draw(wirings(layouts[name]))
    graph, degrees = graph_of(wiring), degrees_of(wiring)
    assert degrees.inward.tolist() == [graph.in_degree(node) for node in graph]
    assert degrees.outward.tolist() == [graph.out_degree(node) for node in graph]
    pairs = nx.attribute_mixing_dict(graph, "level")
    edges = densities_of(wiring).edges
    assert {(a, b): n for a, row in pairs.items() for b, n in row.items() if n} == {
        (a, b): n for (a, b), n in np.ndenumerate(edges) if n
    }
    assert Counter(spans_of(wiring).tolist()) == Counter(
        graph.nodes[b]["level"] - graph.nodes[a]["level"] for a, b in graph.edges
    )
    assert status_counts(wiring).sum() == wiring.num_nodes


@pytest.mark.parametrize("name", ["chain", "readout"])
def test_candidates_of_pairs_are_the_numbered_ones(name, layouts):
    """Counted by enumerating every candidate id."""
    layout = layouts[name]
    from dnw_graph.analysis.wiring import wiring_from_ids

    complete = wiring_from_ids(layout, [np.arange(stage.num_candidates) for stage in layout.stages])
    densities = densities_of(complete)
    assert (densities.edges == densities.candidates).all()
