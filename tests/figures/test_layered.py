"""The layered figure: the right nodes, lines and numbers, for a whole wiring and for a stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from dnw_graph.figures.layered import layered_figure, strongest_edges
from dnw_graph.figures.subject import Subject, subject_of
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.portable.graph import Graph


def test_it_says_its_numbers(subject: Subject, texts: Any) -> None:
    said = texts(layered_figure(subject))
    assert "mobilenet_v1, rule top_k: 9 nodes, 7 edges" in said
    assert "\n3\n3\n1\n4\n" in f"\n{said}\n"  # level 3: 3 nodes, 1 live, 4 pixels
    assert "lines: 7 of 7 edges" in said
    for name in ("stem", "stage 0", "stage 1", "live node (4)", "dead node (1)", "positive weight"):
        assert name in said


def test_a_mark_per_node_and_a_line_per_edge(subject: Subject) -> None:
    above = layered_figure(subject).axes[0]
    live, constant, dead = (
        each for each in above.collections if len(each.get_offsets()) and each.get_zorder() == 3
    )
    assert [len(each.get_offsets()) for each in (live, constant, dead)] == [4, 4, 1]
    positive, negative = (each for each in above.collections if each.get_zorder() == 2)
    assert [len(each.get_paths()) for each in (positive, negative)] == [5, 2]


def test_a_stage_alone_shows_its_input_and_its_edges(subject: Subject, texts: Any) -> None:
    figure = layered_figure(subject.of_stage(1))
    said = texts(figure)
    assert "stage 1 of 0 to 1: 5 nodes, 3 edges" in said
    assert "input (stage 0)" in said
    assert "lines: 3 of 3 edges" in said
    assert [label.get_text() for label in figure.axes[1].get_xticklabels()] == ["2", "3"]


def test_totals_of_all_pairs_are_written(subject: Subject) -> None:
    below = layered_figure(subject).axes[1]
    said = {text.get_position(): text.get_text() for text in below.texts}
    assert said == {(1, 0): "1", (2, 0): "1", (2, 1): "2", (3, 2): "3"}


def test_readout_twins_are_explained(texts: Any) -> None:
    model = tiny_static(rule="top_k", num_classes=3, groups=(4, 6, 6), readout=5, stem_channels=3, edges=40)
    said = texts(layered_figure(subject_of(graph_of(model))))
    assert "each node of level 3 starts from the state of its twin in level 2" in said


def test_wiring_without_edges_is_drawn(empty: Subject, texts: Any) -> None:
    assert "9 nodes, 0 edges" in texts(layered_figure(empty))


def ends(subject: Subject, drawn: Any) -> list[tuple[int, int]]:
    source, target = subject.wiring.source[drawn].tolist(), subject.wiring.target[drawn].tolist()
    return sorted(zip(source, target, strict=True))


def test_every_pair_of_levels_shows_its_strongest_edge(subject: Subject) -> None:
    """Of 2→4 (-1) and 3→5 (3) the second, of 4→6 (1), 5→6 (2) and 5→7 (-2) the first of the equals."""
    assert ends(subject, strongest_edges(subject, 1)) == [(0, 2), (0, 4), (3, 5), (5, 6)]


def test_edges_at_dead_nodes_are_not_drawn(graph: Graph) -> None:
    graph.nodes["status"][2] = "dead"
    subject = subject_of(graph)
    assert ends(subject, strongest_edges(subject, 100)) == [(0, 4), (3, 5), (4, 6), (5, 6), (5, 7)]


@pytest.mark.parametrize("count", [1, 3, 100])
def test_strongest_edges_are_of_the_drawn_stage(count: int, subject: Subject) -> None:
    stage = subject.of_stage(0)
    assert np.isin(strongest_edges(stage, count), stage.edges).all()
