"""Random number generators go back to where they were."""

from __future__ import annotations

import json
import random

import numpy as np
import torch

from dnw_graph.training import random_state


def draw() -> list[float]:
    return [
        random.random(),
        random.gauss(0, 1),
        float(np.random.rand()),
        float(np.random.randn()),
        float(torch.rand(())),
        float(torch.randn(())),
    ]


def test_restored_generators_repeat_their_numbers_after_a_way_through_json():
    random_state.seed_all(5)
    draw()
    state = json.loads(json.dumps(random_state.capture()))
    first = [draw() for _ in range(400)]
    random_state.restore(state)
    assert [draw() for _ in range(400)] == first


def test_seeds_fix_all_generators():
    random_state.seed_all(5)
    first = draw()
    random_state.seed_all(5)
    assert draw() == first
    random_state.seed_all(6)
    assert all(mine != other for mine, other in zip(draw(), first, strict=True))
