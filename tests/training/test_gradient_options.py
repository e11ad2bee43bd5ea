"""Which steps and images edges outside the wiring learn from, in a whole run."""

from __future__ import annotations

import pytest

from dnw_graph.models import body
from dnw_graph.training import train

OPTIONS = (
    "gradient.every=3",
    "gradient.sample=0.25",
    "training.accumulate=2",
    "training.ema_decay=0.9",
    "training.epochs=2",
    "checkpoint.every_steps=10",
)


@pytest.fixture
def plans(monkeypatch):
    """What every training forward was told, in order."""
    told: list[tuple[int, float]] = []
    forward = body.WiredBody.forward

    def watched(self, z):
        if self.training:
            told.append(self.stages[0].gradient_plan(z.shape[1]))
        return forward(self, z)

    monkeypatch.setattr(body.WiredBody, "forward", watched)
    return told


def test_the_parts_of_a_step_are_alike_and_evaluations_count_for_nothing(tmp_path, recipe, plans):
    """22 steps an epoch, each of two parts of 32 images: in every third, eight of them count 3 · 4 times."""
    train(recipe(*OPTIONS), tmp_path / "run")
    expected = [(8, 12.0) if step % 3 == 0 else (0, 1.0) for step in range(44) for _ in range(2)]
    assert plans == expected


def test_a_run_that_goes_on_keeps_the_rhythm(tmp_path, recipe, plans, monkeypatch):
    from dnw_graph.training.session import Session

    original = Session.step

    def stopped(self, parts):
        if self.position.step == 25:
            raise KeyboardInterrupt
        original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(*OPTIONS), tmp_path / "run")
    plans.clear()
    train(recipe(*OPTIONS), tmp_path / "run", resume="auto")
    assert plans == [(8, 12.0) if step % 3 == 0 else (0, 1.0) for step in range(22, 44) for _ in range(2)]
