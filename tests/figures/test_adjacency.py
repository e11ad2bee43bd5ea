"""The adjacency figure: every edge is in it, whatever the groups of nodes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnw_graph.figures import style
from dnw_graph.figures.adjacency import adjacency_figure
from dnw_graph.figures.binned import binned, group_width, range_of
from dnw_graph.figures.subject import Subject, subject_of
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.tiny_static import tiny_static


def test_nine_nodes_by_hand(subject: Subject) -> None:
    """Single nodes: 0→2, 0→4, 2→4, 3→5 in stage 0."""
    parts = binned(subject.wiring, subject.layout.stages[0], 64)
    found = {(part.source.index, part.target.index): part.edges.tolist() for part in parts}
    assert found == {(0, 1): [[1, 0], [0, 0]], (0, 2): [[1, 0], [0, 0]], (1, 2): [[1, 0], [0, 1]]}
    assert all((part.candidates == 1).all() for part in parts)


@pytest.mark.parametrize("groups", [1, 2, 3, 5, 8, 100])
def test_no_edge_and_no_candidate_is_lost(groups: int, run_subject: Subject) -> None:
    for stage in run_subject.layout.stages:
        parts = binned(run_subject.wiring, stage, groups)
        assert sum(part.edges.sum() for part in parts) == run_subject.wiring.budgets[stage.index]
        assert sum(part.candidates.sum() for part in parts) == stage.num_candidates
        assert all((part.edges <= part.candidates).all() for part in parts)
        assert max(part.candidates.max() for part in parts) <= group_width(stage, groups) ** 2


def test_a_panel_per_stage_with_an_image_per_pair_of_levels(subject: Subject, texts: Any) -> None:
    figure = adjacency_figure(subject)
    panels = {each.get_title(): each for each in figure.axes if each.get_title()}
    assert {name: len(axes.images) for name, axes in panels.items()} == {
        "stage 0 (1×1)": 3,
        "stage 1 (1×1)": 1,
    }
    senders = [label.get_text() for label in panels["stage 0 (1×1)"].get_yticklabels()]
    assert senders == ["0\n(2)", "1\n(2)"]
    said = texts(figure)
    for words in ("to level (nodes)", "no candidates", "% of the candidates", "9 nodes, 7 edges"):
        assert words in said


def test_what_feeds_the_readout_is_marked(texts: Any) -> None:
    """Levels of 3, 4 and 5 nodes: 9, 10 and 11 are the last three of the third."""
    model = tiny_static(rule="top_k", num_classes=2, groups=(3, 4, 5), readout=3, edges=20)
    subject = subject_of(graph_of(model))
    figure = adjacency_figure(subject)
    assert "3 nodes that feed the readout directly, too" in texts(figure)
    panel = next(each for each in figure.axes if each.get_title().startswith("stage 0"))
    bars = [line.get_xydata().tolist() for line in panel.lines if line.get_linewidth() == 4]
    assert bars == [[[9, 1], [12, 1]], [[0, 9], [0, 12]]]


def test_the_thinnest_cell_is_seen() -> None:
    """It differs from white by a fifth of the range of grey, and nothing lies outside the scale."""
    colours = style.density_colours()
    red, green, blue, _ = colours(0.0)
    assert 0.299 * red + 0.587 * green + 0.114 * blue < 0.85
    greys = colours(np.linspace(0, 1, 50))[:, :3] @ [0.299, 0.587, 0.114]
    assert (np.diff(greys) < 0).all()


def test_range_of_shares() -> None:
    assert range_of([np.array([np.nan, 2.0]), np.array([[5.0]]), np.array([np.nan])]) == (2.0, 5.0)
    assert range_of([np.array([np.nan])]) == (1.0, 100.0)


def test_wiring_without_edges_is_drawn(empty: Subject, texts: Any) -> None:
    assert "9 nodes, 0 edges" in texts(adjacency_figure(empty))
