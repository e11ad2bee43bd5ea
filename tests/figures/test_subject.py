"""What a figure says about the moment of its wiring."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dnw_graph.figures.subject import Subject, moment_of, read_subject


def test_the_moment_of_a_checkpoint_in_words() -> None:
    assert moment_of(0, 0) == "untrained"
    assert moment_of(0, 0, imported=True) == "as imported"
    assert moment_of(0, 1) == "after 1 step"
    assert moment_of(0, 1200) == "after 1,200 steps"
    assert moment_of(1, 22) == "after 1 epoch"
    assert moment_of(3, 66) == "after 3 epochs"


def test_a_run_spans_the_epochs_that_it_stored(tmp_path: Path, make_run: Any, subject: Subject) -> None:
    assert read_subject(make_run(tmp_path / "run")).span == "epochs 0 to 3"
    assert subject.span == ""
