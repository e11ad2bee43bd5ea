"""torch.export and torch.compile of compiled networks."""

from __future__ import annotations

import pytest
import torch

import dnw_graph as dg

CONFIGS = ["digits/tiny_static_random", "digits/tiny_discrete_time_random", "imagenet/dnw_small_x0.15"]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("backend", ["native", "csr"])
def test_an_exported_network_takes_any_batch(name, backend):
    torch.manual_seed(0)
    model = dg.build_model(dg.load_config(name, ["model.image_size=32"])).eval()
    network, side = dg.compile(model, backend), model.image_size
    batch = torch.export.Dim.DYNAMIC
    exported = torch.export.export(network, (torch.randn(2, 3, side, side),), dynamic_shapes=({0: batch},))
    images = torch.randn(5, 3, side, side)
    wanted = network(images)
    assert (exported.module()(images) - wanted).abs().max() < 2e-5 * wanted.abs().max()


def test_torch_compile_gives_the_same_logits():
    network = dg.compile(dg.build_model(dg.load_config("digits/tiny_static_random")).eval())
    images = torch.randn(2, 3, 32, 32)
    wanted = network(images)
    assert (
        torch.compile(network, backend="aot_eager")(images) - wanted
    ).abs().max() < 2e-5 * wanted.abs().max()
