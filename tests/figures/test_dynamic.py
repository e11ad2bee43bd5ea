"""Figures of dynamic networks: each node once, with what it sends and what it receives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnw_graph.errors import InputError
from dnw_graph.figures.adjacency import adjacency_figure
from dnw_graph.figures.compare import compare_figure
from dnw_graph.figures.degrees import degrees_figure
from dnw_graph.figures.kernels import kernels_figure
from dnw_graph.figures.layered import layered_figure
from dnw_graph.figures.levels import levels_figure
from dnw_graph.figures.node_degrees import node_degrees
from dnw_graph.figures.subject import Subject, subject_of
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.tiny_dynamic import tiny_continuous_time, tiny_discrete_time

SIZES = {"rule": "top_k", "num_classes": 2, "nodes": 6, "inputs": 2, "readout": 3, "edges": 12}


@pytest.fixture
def dynamic() -> Subject:
    """Six nodes, applied twice; the stem feeds nodes 0 and 1, the classifier reads 3, 4 and 5."""
    return replace(subject_of(graph_of(tiny_discrete_time(times=2, **SIZES))), readout=3)


def test_a_node_is_counted_once(dynamic: Subject) -> None:
    assert dynamic.title == "tiny_discrete_time, rule top_k: 6 nodes, 12 edges, applied 2 times"
    solved = subject_of(graph_of(tiny_continuous_time(**SIZES)))
    assert solved.title.endswith("6 nodes, 12 edges, applied by a solver")


def test_a_node_receives_after_and_sends_before(dynamic: Subject) -> None:
    wiring, degrees = dynamic.wiring, node_degrees(dynamic)
    assert degrees.inward[:6].tolist() == np.bincount(wiring.target - 6, minlength=6).tolist()
    assert degrees.outward[:6].tolist() == np.bincount(wiring.source, minlength=6).tolist()


def test_no_picture_speaks_of_levels(dynamic: Subject, texts: Any) -> None:
    for draw in (layered_figure, adjacency_figure, kernels_figure, degrees_figure):
        said = texts(draw(dynamic))
        assert "level 0" not in said
        assert "stem\n" not in said
    said = texts(compare_figure(dynamic, dynamic))
    assert "level" not in said
    assert "in common: 12 edges, 100.0% of A" in said


def test_inputs_and_readout_are_marked(dynamic: Subject, texts: Any) -> None:
    figure = adjacency_figure(dynamic)
    assert "2 nodes that the stem feeds\n3 nodes that the classifier reads" in texts(figure)
    panel = next(each for each in figure.axes if each.get_title().startswith("stage 0"))
    bars = [line.get_xydata().tolist() for line in panel.lines if line.get_linewidth() == 4]
    assert bars == [[[0, 0], [0, 2]], [[9, 1], [12, 1]]]


def test_flow_between_one_pair_of_levels_is_refused(dynamic: Subject) -> None:
    with pytest.raises(InputError, match=r"graph \(tiny_discrete_time\) has one pair; use --kind adjacency"):
        levels_figure(dynamic)
