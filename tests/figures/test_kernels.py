"""The kernel figure: the busiest nodes, and squares that say sign and size."""

from __future__ import annotations

from typing import Any

import pytest

from dnw_graph.analysis.degrees import degrees_of
from dnw_graph.figures.kernels import busiest_nodes, kernels_figure
from dnw_graph.figures.subject import Subject, subject_of
from dnw_graph.portable.graph import Graph


def test_busiest_nodes_by_hand(subject: Subject) -> None:
    """Nodes 4 (0→4, 2→4, 4→6) and 5 (3→5, 5→6, 5→7) of level 2 are equals: the lower one first."""
    degrees, status = degrees_of(subject.wiring), subject.graph.nodes["status"]
    level = subject.layout.levels[2]
    assert busiest_nodes(level, degrees, status, 5).tolist() == [4, 5]
    assert busiest_nodes(level, degrees, status, 1).tolist() == [4]
    status[4] = "dead"
    assert busiest_nodes(level, degrees, status, 5).tolist() == [5, 4]


def test_nine_squares_per_sending_node(graph: Graph, texts: Any) -> None:
    """Six nodes send; one kernel holds 4 in the middle and -1 in a corner."""
    graph.nodes["kernel"][2] = [[-1, 0, 0], [0, 4, 0], [0, 0, 0]]
    figure = kernels_figure(subject_of(graph))
    filled, hollow = figure.axes[0].collections
    assert (len(filled.get_paths()), len(hollow.get_paths())) == (53, 1)
    sides = sorted(path.get_extents().width for path in filled.get_paths())
    assert hollow.get_paths()[0].get_extents().width == pytest.approx(sides[-1] / 2)
    said = texts(figure)
    for words in ("level 0", "level 2", "#0\n0 → 2", "positive weight", "negative weight", "edges in → out"):
        assert words in said
    assert "level 3" not in said


def test_a_stage_shows_the_nodes_that_send_in_it(subject: Subject, texts: Any) -> None:
    said = texts(kernels_figure(subject.of_stage(1)))
    assert "level 2" in said
    assert "level 1" not in said


def test_dead_nodes_are_named(subject: Subject, texts: Any) -> None:
    assert "(dead)" in texts(kernels_figure(subject))
