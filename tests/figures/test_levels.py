"""The flow figure: an arc per pair of levels, with its edges beside those of chance."""

from __future__ import annotations

from typing import Any

from dnw_graph.figures.levels import flows_of, levels_figure
from dnw_graph.figures.subject import Subject


def test_nine_nodes_by_hand(subject: Subject) -> None:
    """Stage 0: 4 edges of 12 candidates, 4 in each pair of levels; stage 1: 3 of 6."""
    found = {(flow.source, flow.target): (flow.edges, flow.chance) for flow in flows_of(subject)}
    assert found == {(0, 1): (1, 4 / 3), (0, 2): (1, 4 / 3), (1, 2): (2, 4 / 3), (2, 3): (3, 3.0)}


def test_arcs_are_labelled_and_level_sizes_are_bars(subject: Subject, texts: Any) -> None:
    figure = levels_figure(subject)
    axes = figure.axes[0]
    assert len(axes.lines) == 4
    said = texts(figure)
    for words in (
        "1\n×0.75",
        "2\n×1.50",
        "3\n×1.00",
        "14% of the edges skip a level, 19% by chance",
        "live nodes",
    ):
        assert words in said
    # Three parts, live, constant and dead, of each of four bars; the deepest level has three nodes.
    assert len(axes.patches) == 12
    assert min(bar.get_y() + bar.get_height() for bar in axes.patches) == -1.3


def test_a_pair_without_edges_has_a_dotted_arc(empty: Subject) -> None:
    axes = levels_figure(empty).axes[0]
    assert len(axes.lines) == 4
    assert {line.get_linewidth() for line in axes.lines} == {0.8}
    assert [text.get_text() for text in axes.texts[:4]] == ["0"] * 4


def test_a_stage_alone(subject: Subject) -> None:
    found = [(flow.source, flow.target) for flow in flows_of(subject.of_stage(1))]
    assert found == [(2, 3)]
    assert len(levels_figure(subject.of_stage(1)).axes[0].lines) == 1
