"""Sums of training and scores of evaluation, by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from dnw_graph.training.distributed import World
from dnw_graph.training.metrics import Scores, Tally

CPU = torch.device("cpu")
ALONE = World(0, 1, CPU)


def test_tally_weighs_images_not_batches():
    tally = Tally(CPU)
    tally.add(torch.tensor([1.0, 3.0, 5.0]), torch.eye(3), torch.tensor([0, 1, 0]))
    tally.add(torch.tensor([7.0]), torch.eye(3)[:1], torch.tensor([2]))
    assert tally.read(ALONE) == (4.0, 0.5, 4)


def test_tally_moves_into_another_and_survives_saving():
    window, epoch = Tally(CPU), Tally(CPU)
    window.add(torch.tensor([0.1, 0.2]), torch.eye(2), torch.tensor([0, 0]))
    window.empty_into(epoch)
    assert window.read(ALONE)[2] == 0
    assert math.isnan(window.read(ALONE)[0])
    other = Tally(CPU)
    other.load_state(epoch.state())
    assert other.read(ALONE) == epoch.read(ALONE)
    assert other.read(ALONE)[1:] == (0.5, 2)


def test_scores_equal_hand_computed_ones_over_uneven_batches():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(25, 10, generator=generator), torch.randint(10, (25,), generator=generator)
    scores = Scores(10, CPU)
    for part in (slice(0, 16), slice(16, 25)):
        scores.add(logits[part], labels[part])
    ranks = (logits > logits.gather(1, labels[:, None])).sum(1)
    expected = {
        "loss": float(F.cross_entropy(logits, labels)),
        "top1": float((ranks < 1).float().mean()),
        "top5": float((ranks < 5).float().mean()),
    }
    assert scores.read() == pytest.approx(expected)


def test_no_top5_among_five_classes():
    scores = Scores(5, CPU)
    scores.add(torch.eye(5), torch.arange(5))
    assert scores.read().keys() == {"loss", "top1"}
