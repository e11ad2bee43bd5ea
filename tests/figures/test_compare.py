"""The figure of two wirings: what they have in common is counted right, and other networks are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnw_graph.analysis.overlap import overlaps_of, sum_of
from dnw_graph.errors import InputError
from dnw_graph.figures.compare import common_edges, compare_figure
from dnw_graph.figures.subject import Subject, read_subject, subject_of
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.tiny_static import tiny_static


@pytest.fixture
def other(tmp_path: Path, make_run: Any) -> Subject:
    return read_subject(make_run(tmp_path / "other" / "run", seed=1))


def test_common_edges_agree_with_the_analysis(run_subject: Subject, other: Subject) -> None:
    common, chance = common_edges(run_subject, other)
    expected = sum_of(overlaps_of(run_subject.wiring, other.wiring))
    assert common.sum() == expected.common
    assert chance.sum() == pytest.approx(expected.by_density.mean)


def test_twins_of_readout_nodes_are_a_kind_of_their_own() -> None:
    options = {"num_classes": 3, "groups": (4, 6, 6), "readout": 5, "stem_channels": 3, "edges": 40}
    one, other = (subject_of(graph_of(tiny_static(rule="top_k", seed=seed, **options))) for seed in (0, 1))
    expected = sum_of(overlaps_of(one.wiring, other.wiring))
    assert common_edges(one, other)[1].sum() == pytest.approx(expected.by_density.mean)


def test_a_wiring_has_everything_in_common_with_itself(run_subject: Subject, texts: Any) -> None:
    common, _ = common_edges(run_subject, run_subject)
    ends = run_subject.wiring.level[run_subject.wiring.target]
    np.testing.assert_array_equal(common, np.bincount(ends, minlength=6))
    said = texts(compare_figure(run_subject, run_subject))
    assert "100.0% of A" in said
    assert "rank correlation 1.00" in said


def test_panels_and_names(run_subject: Subject, other: Subject, texts: Any) -> None:
    figure = compare_figure(run_subject, other)
    assert len(figure.axes) == 4
    said = texts(figure)
    # Both runs are called run; their folders tell them apart.
    assert "B: other/run, mobilenet_v1 on digits" in said
    for words in ("edges of A that B has too", "by chance", "edges in A", "×1: as many"):
        assert words in said
    assert len(figure.axes[0].texts) == 9


def test_a_stage_alone(run_subject: Subject, other: Subject) -> None:
    figure = compare_figure(run_subject.of_stage(0), other.of_stage(0))
    assert len(figure.axes[0].texts) == 3
    assert len(figure.axes[3].collections[0].get_offsets()) == 16


def test_other_networks_are_refused(run_subject: Subject, subject: Subject) -> None:
    with pytest.raises(
        InputError, match=r"--with graph: its network .* is not that of run .*; give two runs"
    ):
        compare_figure(run_subject, subject)


def test_wiring_without_edges_is_drawn(empty: Subject) -> None:
    assert len(compare_figure(empty, empty).axes) == 4
