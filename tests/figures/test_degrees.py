"""The degree figure: the wiring's own degrees, and those of chance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnw_graph.analysis.degrees import degrees_of
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.figures.degrees import degrees_figure, level_degrees
from dnw_graph.figures.subject import Subject


def test_nine_nodes_by_hand(subject: Subject) -> None:
    inward, outward = level_degrees(subject)
    assert {each.level.index: each.degrees.tolist() for each in inward} == {
        1: [1, 0],
        2: [2, 1],
        3: [2, 1, 0],
    }
    assert {each.level.index: each.degrees.tolist() for each in outward} == {0: [2, 0], 1: [1, 1], 2: [1, 2]}
    # A node of level 2 may receive from 2 + 2 of the stage's 12 candidates, of which 4 are drawn.
    assert (inward[1].candidates, inward[1].drawn, inward[1].possible) == (4, 4, 12)
    assert inward[1].chance(np.array([0]))[0] == pytest.approx(70 / 495)


def test_chance_is_what_random_wirings_have(run_subject: Subject) -> None:
    """Mean number of nodes without an incoming edge, over 400 drawn wirings, to three standard errors."""
    inward, _ = level_degrees(run_subject)
    for each in inward:
        here = slice(each.level.first, each.level.end)
        empty = [
            (degrees_of(drawn).inward[here] == 0).sum()
            for drawn in RandomGraphs(400).like(run_subject.wiring)
        ]
        expected = each.chance(np.array([0]))[0] * each.level.size
        assert abs(np.mean(empty) - expected) < 3 * max(np.std(empty), 0.1) / 20


def test_panels_and_legend(run_subject: Subject, texts: Any) -> None:
    figure = degrees_figure(run_subject)
    assert len(figure.axes) == 4
    said = texts(figure)
    for words in (
        "in-degree",
        "out-degree",
        "this wiring (rule top_k)",
        "random wirings of equal budget",
        "without an edge",
    ):
        assert words in said
    # Boxes of the five levels that receive, twice, and of the five that send.
    assert [len(axes.patches) for axes in figure.axes] == [10, 10, 0, 0]


def test_the_curve_ends_where_the_busiest_node_is(subject: Subject) -> None:
    mine = degrees_figure(subject).axes[3].lines[0]
    x, y = mine.get_data()
    assert dict(zip(x.tolist(), y.tolist(), strict=True))[2] == pytest.approx(100 * 2 / 6)
    assert y[-1] == 0


def test_wiring_without_edges_is_drawn(empty: Subject) -> None:
    assert len(degrees_figure(empty).axes) == 4
