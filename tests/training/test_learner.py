"""One optimiser step, on a network whose numbers can be compared by hand."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dnw_graph.errors import InputError
from dnw_graph.training import learner as learner_module
from dnw_graph.training.distributed import World
from dnw_graph.training.learner import Learner, check_precision, first_not_finite, synchronise_norm

CPU = torch.device("cpu")
ALONE = World(0, 1, CPU)


@pytest.fixture
def linear(monkeypatch, recipe):
    """linear("optimizer.lr=1", …) → a Learner of one linear layer that starts from zero."""

    def make(*overrides: str) -> Learner:
        network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 10))
        nn.init.zeros_(network[1].weight)
        nn.init.zeros_(network[1].bias)
        monkeypatch.setattr(learner_module, "build_model", lambda cfg: network)
        return Learner(recipe("optimizer.momentum=0", *overrides), ALONE)

    return make


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(12, 3, 4, 4, generator=generator), torch.randint(10, (12,), generator=generator)


def test_a_step_is_gradient_descent_with_weight_decay(linear, batch):
    images, labels = batch
    learner = linear("optimizer.weight_decay=0.5")
    weight = learner.model[1].weight
    with torch.no_grad():
        weight.fill_(0.01)
    logits = images.flatten(1) @ weight.detach().t()
    error = logits.softmax(1) - nn.functional.one_hot(labels, 10)
    expected = weight.detach() - 0.2 * (error.t() @ images.flatten(1) / 12 + 0.5 * weight.detach())
    learner.step(0, [batch], lr=0.2)
    assert torch.allclose(weight, expected, atol=1e-6)


def test_parts_of_a_batch_add_up_to_the_whole(linear, batch):
    images, labels = batch
    whole, parts = linear(), linear("training.accumulate=4")
    whole.step(0, [batch], lr=1.0)
    parts.step(0, zip(images.split(3), labels.split(3), strict=True), lr=1.0)
    assert torch.allclose(whole.model[1].weight, parts.model[1].weight, atol=1e-6)
    assert whole.window.read(ALONE) == pytest.approx(parts.window.read(ALONE))


def test_smoothing_is_in_the_loss(linear, batch):
    learner = linear("training.label_smoothing=0.2")
    learner.step(0, [batch], lr=1.0)
    learner.window.clear()
    logits = learner.model(batch[0]).detach()
    expected = nn.functional.cross_entropy(logits, batch[1], label_smoothing=0.2)
    learner.step(1, [batch], lr=1.0)
    assert learner.window.read(ALONE)[0] == pytest.approx(float(expected))


def test_fp16_needs_cuda():
    with pytest.raises(InputError, match="fp16 needs a CUDA device"):
        check_precision("fp16", CPU)
    check_precision("bf16", CPU)


def test_norms_that_cannot_be_synchronised_are_refused():
    with pytest.raises(InputError, match=r"training\.sync_norm true: Linear has no synchronised batch norm"):
        synchronise_norm(nn.Linear(2, 2))


def test_the_first_tensor_out_of_range_is_named():
    tensors = {"a": torch.ones(2), "ids": torch.ones(2, dtype=torch.int64)}
    assert first_not_finite(tensors) is None
    assert first_not_finite({**tensors, "b": torch.tensor([1.0, float("inf")])}) == "b"
