"""Learning rate against steps, by hand."""

from __future__ import annotations

import math

import pytest

from dnw_graph.config.schema import Schedule
from dnw_graph.training.schedule import learning_rate


def lr(step: int, **options) -> float:
    return learning_rate(Schedule(**options), peak=0.4, step=step, steps_per_epoch=10, epochs=4)


def test_cosine_starts_at_the_peak_is_half_in_the_middle_and_nears_the_end():
    assert lr(0) == 0.4
    assert lr(20) == pytest.approx(0.2)
    assert lr(39) == pytest.approx(0.2 * (1 + math.cos(math.pi * 39 / 40)))


def test_cosine_ends_at_final_lr():
    assert lr(20, final_lr=0.1) == pytest.approx(0.25)
    assert lr(40, final_lr=0.1) == pytest.approx(0.1)


def test_multistep_falls_at_the_first_step_of_a_milestone():
    steps = [lr(step, name="multistep", milestones=[1, 3], gamma=0.1) for step in (0, 9, 10, 29, 30, 39)]
    assert steps == pytest.approx([0.4, 0.4, 0.04, 0.04, 0.004, 0.004])


def test_warm_up_rises_in_equal_parts_to_the_peak():
    assert [lr(step, warmup_epochs=0.4) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])


def test_cosine_spans_what_warm_up_leaves():
    assert lr(20 + 2, warmup_epochs=0.4) == pytest.approx(0.2)


def test_warm_up_does_not_move_milestones():
    assert lr(10, name="multistep", milestones=[1], warmup_epochs=0.5) == pytest.approx(0.04)
