"""The turnover figure: what is counted, and what cannot be drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dnw_graph.analysis.stored import StoredWirings, stored_wirings
from dnw_graph.analysis.turnover import turnover_of
from dnw_graph.errors import InputError
from dnw_graph.figures.cohorts import cohorts_of
from dnw_graph.figures.subject import Subject, read_subject
from dnw_graph.figures.turnover import entries_per_step, turnover_figure


def test_cohorts_by_hand(subject: Subject) -> None:
    """Edge 0 stays, 1 leaves and comes back, 2 leaves, 3 enters in epoch 4."""
    ids = [(np.array(each), np.array([0])) for each in ([0, 1, 2], [0, 2], [0, 1, 3])]
    stored = StoredWirings(subject.layout, (0, 1, 4), tuple(ids))
    found = cohorts_of(stored, [0])
    assert found.since.tolist() == [[3, 0, 0], [2, 0, 0], [1, 0, 2]]
    assert found.edges.tolist() == [3, 2, 3]
    assert found.entered.tolist() == [0, 0, 2]
    assert found.in_last.tolist() == [2, 1, 3]
    assert cohorts_of(stored, [0, 1]).since[:, 0].tolist() == [4, 3, 2]


def test_cohorts_agree_with_the_analysis(run: Path, run_subject: Subject) -> None:
    stored = stored_wirings(run, run_subject.layout)
    found, expected = cohorts_of(stored, [0, 1]), turnover_of(stored)
    np.testing.assert_array_equal(found.entered[1:], expected.entered)
    ages = np.repeat(found.epochs[-1] - found.epochs, found.since[-1])
    np.testing.assert_array_equal(np.sort(ages), np.sort(expected.ages))


def test_entries_per_step_count_what_steps_left_out() -> None:
    """Two epochs of 10 steps: 30 entries in 6 steps, 8 in the other 4; then 5 in the whole epoch."""
    records = [
        {"kind": "step", "step": 6, "epoch": 1, "swaps": 30},
        {"kind": "epoch", "step": 10, "epoch": 1, "swaps": 38},
        {"kind": "step", "step": 20, "epoch": 2, "swaps": 5},
        {"kind": "epoch", "step": 20, "epoch": 2, "swaps": 5},
    ]
    assert entries_per_step(records) == ([0.6, 1.0, 2.0], [5.0, 2.0, 0.5])


def test_panels_and_legends(run_subject: Subject, texts: Any) -> None:
    figure = turnover_figure(run_subject)
    assert len(figure.axes) == 4
    said = texts(figure)
    for words in (
        "rule top_k, epochs 0 to 3: 40 nodes",
        "the start",
        "epoch 3",
        "test accuracy (top-1)",
        "edges that enter, per step",
        "net of returns",
    ):
        assert words in said
    stored = stored_wirings(run_subject.run, run_subject.layout)
    bars = [bar.get_height() for bar in figure.axes[1].patches]
    assert bars == cohorts_of(stored, [0, 1]).entered[1:].tolist()


def test_a_stage_says_what_counts_all_stages(run_subject: Subject, texts: Any) -> None:
    assert "(all stages)" in texts(turnover_figure(run_subject.of_stage(1)))


def test_long_trainings_have_few_cohorts(tmp_path: Path, make_run: Any, texts: Any) -> None:
    figure = turnover_figure(read_subject(make_run(tmp_path / "long", epochs=20)))
    legend = figure.axes[2].get_legend()
    names = [text.get_text() for text in legend.get_texts()]
    assert names[0] == "the start"
    assert names[-1].endswith("to 20")
    assert len(names) == 6


def test_what_has_no_turnover_is_refused(tmp_path: Path, make_run: Any, subject: Subject) -> None:
    with pytest.raises(InputError, match=r"graph holds one wiring; give a run directory"):
        turnover_figure(subject)
    with pytest.raises(InputError, match=r"has one stored wiring, of epoch 0, and --kind turnover needs two"):
        turnover_figure(read_subject(make_run(tmp_path / "new", epochs=0)))
    with pytest.raises(
        InputError, match=r"no edge ever entered its wiring \(rule random\), so --kind turnover"
    ):
        turnover_figure(read_subject(make_run(tmp_path / "random", rule="random")))
    bare = make_run(tmp_path / "bare")
    (bare / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match="has no record of an epoch"):
        turnover_figure(read_subject(bare))
