"""The re-statement of the 2019 method that training is timed beside gives our numbers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from original_training import Original, OriginalLearner

import dnw_graph as dg
from dnw_graph.config.schema import Optimizer
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static

CONFIGS = Path(__file__).parents[2] / "configs"
COMMON = {"rule": "top_k", "num_classes": 10, "backend": "dense"}
BLOCKS = ((8, 12, 1, 1), (12, 16, 2, 3), (16, 24, 2, 2))
MAKE = {
    "mobilenet_v1": lambda: mobilenet_v1(image_size=32, width=0.5, blocks=BLOCKS, **COMMON),
    "tiny_static": lambda: tiny_static(edges=900, groups=(8, 24, 24, 24), readout=10, **COMMON),
}


@pytest.fixture(params=MAKE)
def model(request):
    """One of our networks in float64, with weights from a fixed seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MAKE[request.param]().double()


def batch(number, images=16):
    generator = torch.Generator().manual_seed(number)
    pixels = torch.randn(images, 3, 32, 32, generator=generator, dtype=torch.float64)
    return pixels, torch.randint(0, 10, (images,), generator=generator)


def relative(a, b):
    return ((a - b).abs().max() / b.abs().max()).item()


def wirings(original):
    return [each.wiring() for each in original.rectangles()]


def test_it_selects_the_same_edges_and_gives_the_same_logits(model):
    images, _ = batch(0)
    original = Original(model).train()
    assert relative(original(images), model.train()(images)) < 1e-12
    assert relative(original.eval()(images), model.eval()(images)) < 1e-12
    for found, ours in zip(wirings(original), model.wirings().values(), strict=True):
        assert torch.equal(found, ours)


def test_float32_agrees_to_float_tolerance(model):
    model.float()
    images = batch(0)[0].float()
    assert relative(Original(model).train()(images), model.train()(images)) < 1e-5


def test_every_candidate_gets_our_gradient_and_other_positions_none(model):
    images, labels = batch(0)
    original = Original(model).train()
    for network in (model.train(), original):
        F.cross_entropy(network(images), labels).backward()
    for rectangle, wired in zip(original.rectangles(), model.body_stages(), strict=True):
        gradient = rectangle.weight.grad.flatten()
        assert relative(gradient[rectangle.place], wired.weight.grad) < 1e-10
        gradient[rectangle.place] = 0
        assert not gradient.any()


def test_after_some_steps_losses_and_wirings_are_still_ours(model):
    options = Optimizer.model_validate({"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4})
    original = OriginalLearner(model, options)
    optimizer = torch.optim.SGD(model.train().parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    entered = 0
    for step in range(6):
        images, labels = batch(step)
        original.step(step, [(images, labels)], 0.05)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        assert original.loss == pytest.approx(loss.item(), rel=1e-8)
        entered += model.rewire(step + 1)
        for found, ours in zip(wirings(original.model), model.wirings().values(), strict=True):
            assert torch.equal(found, ours)
    assert entered


def test_networks_of_the_published_size_agree():
    cfg = dg.load_config(CONFIGS / "fashion_mnist" / "tiny_static_dnw.yaml", ["model.backend=dense"])
    model = dg.build_model(cfg).double()
    images, _ = batch(0, images=2)
    original = Original(model)
    (rectangle,) = original.rectangles()
    assert rectangle.weight.shape == (800, 800, 1, 1)
    assert rectangle.dropped == 608_000
    assert relative(original(images), model(images)) < 1e-12
