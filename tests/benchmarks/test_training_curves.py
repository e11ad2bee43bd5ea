"""Contenders that start from the same numbers learn the same."""

from __future__ import annotations

import pytest
import torch

from benchmarks.training.contenders import PARTS, contender, differing
from benchmarks.training.curves import NUDGED, curves, one_by_one

NETWORK, IMAGES, STEPS = "tiny static", 4, 3


@pytest.fixture
def batches():
    generator = torch.Generator().manual_seed(0)
    return [
        (
            torch.randn(IMAGES, 3, 32, 32, generator=generator),
            torch.randint(0, 10, (IMAGES,), generator=generator),
        )
        for _ in range(2)
    ]


def test_losses_of_all_contenders_agree(batches):
    each = {name: contender(name, NETWORK, IMAGES, batches) for name in ("original", "dense", "auto")}
    found = curves(each, NETWORK, IMAGES, STEPS)
    assert list(found["losses"]) == ["original", "dense", "auto", NUDGED]
    assert all(len(losses) == STEPS for losses in found["losses"].values())
    assert max(found["from_dense"].values()) < 1e-4
    assert found["together"] == dict.fromkeys(found["losses"], STEPS)
    assert found["edges"]["dense"] == {"steps": STEPS, "edges": 0}
    assert list(each["original"].parts[0]) == list(PARTS)


def test_the_same_step_from_the_same_state_gives_the_same_loss_and_gradients(batches):
    found = one_by_one(NETWORK, IMAGES, batches, STEPS)
    assert found["loss"] < 1e-6
    assert found["gradient"] < 1e-3


def test_edges_that_differ_are_counted(batches):
    one, other = (contender("dense", NETWORK, IMAGES, batches).learner for _ in range(2))
    (wired,) = other.model.body_stages()
    outside = torch.ones(wired.stage.num_candidates, dtype=torch.bool)
    outside[wired.selected] = False
    moved = torch.cat([wired.selected[3:], outside.nonzero().squeeze(1)[:3]])
    wired.select(moved.sort().values)
    assert differing(one, other) == 3
