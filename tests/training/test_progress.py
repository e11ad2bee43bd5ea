"""What is shown where the output is no terminal, and durations."""

from __future__ import annotations

import pytest
from rich.console import Console

from dnw_graph.training import progress
from dnw_graph.training.progress import Display, duration

STEP = {
    "kind": "step",
    "epoch": 2,
    "step": 30,
    "train_loss": 0.5,
    "train_top1": 0.875,
    "swaps": 1234,
    "images_per_second": 2000.4,
}


def test_plain_lines_hold_everything_and_keep_a_pace(capsys):
    with Display(True, epochs=4, steps_per_epoch=20, step=20) as display:
        display.step(2, 10)
        display.record(STEP)
        display.record(STEP)
    out = capsys.readouterr().out
    assert out.startswith("epoch 2/4  step 30/80  loss 0.5000  top-1 87.5%  2,000 images/s  swaps 1,234  ")
    assert out.endswith(" left\n")
    assert out.count("\n") == 1
    assert "\x1b" not in out


def test_epochs_are_always_told(capsys):
    record = STEP | {"kind": "epoch", "step": 40, "test_loss": 0.4, "test_top1": 0.9}
    with Display(True, epochs=4, steps_per_epoch=20, step=0) as display:
        display.record(record)
        display.record(record)
    assert (
        capsys.readouterr().out.count("epoch 2/4 done  train loss 0.5000 top-1 87.50%  test loss 0.4000") == 2
    )


def test_other_ranks_are_silent(capsys):
    with Display(False, epochs=4, steps_per_epoch=20, step=0) as display:
        display.step(1, 1)
        display.record(STEP)
        display.line("hello")
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_bar(monkeypatch, capsys):
    monkeypatch.setattr(progress, "Console", lambda: Console(force_terminal=True, width=120))
    with Display(True, epochs=4, steps_per_epoch=20, step=20) as display:
        display.step(2, 10)
        display.record(STEP)
        display.line("kept")
    out = capsys.readouterr().out
    assert "kept" in out
    assert "10/20" in out
    assert "loss 0.5000" in out


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0s"), (59.6, "1m00s"), (185, "3m05s"), (3600, "1h00m"), (7620, "2h07m")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text
