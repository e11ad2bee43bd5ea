"""Compiled networks of wirings that can be followed by hand, and of the extreme ones."""

from __future__ import annotations

import pytest
import torch

import dnw_graph as dg
from dnw_graph.models.mobilenet_v1 import mobilenet_v1

# Numbers by hand


def test_a_constant_map_sees_the_border(networks):
    """A map of ones through a kernel of ones: 4 in the corners, 6 at the edges, 9 inside."""
    model = mobilenet_v1(
        rule="top_k", num_classes=1, image_size=3, density=1.0, blocks=((1, 1, 1, 2),)
    ).double()
    (stage,) = model.body_stages()
    with torch.no_grad():
        # Level 0 → level 1, level 0 → level 2, level 1 → level 2: only the last is selected.
        stage.weight.copy_(torch.tensor([5.0, 5.0, 2.0]))
        stage.select(torch.tensor([2]))
        inner, head = model.body.operations[1], model.head
        inner.norm.bias.fill_(1)
        inner.kernel.fill_(1)
        head.norm.running_var.fill_(1 - head.norm.eps)
        head.norm.running_mean.fill_(10)
        head.linear.weight.fill_(1)
        head.linear.bias.fill_(0.5)
    network = dg.compile(model.eval())
    logits, executed = network.run(networks.images_for(model))
    # 2·(4, 6, 9) − 10 → ReLU → 0, 2, 8; the mean over 4 corners, 4 edges and 1 centre is 16/9.
    torch.testing.assert_close(logits, torch.full((2, 1), 0.5 + 16 / 9, dtype=torch.float64))
    assert executed.macs == dg.count(model).macs == 0


@pytest.mark.needs_dgl
def test_compiled_nine_nodes(nine_nodes, networks):
    """Live: 0, 2, 4, 6. Constant: 3, which hears nothing, then 5 and 7 behind it, and 8. Dead: 1."""
    model = nine_nodes.double()
    network = dg.compile(model, "dgl")
    images = networks.images_for(model, 2)
    assert networks.relative(network(images), model(images).detach()) < 1e-12
    # Stem 27·64; convolutions of 0 and 2 at 64 pixels, of 4 at 16; edges 0→2, 2→4, 0→4 at 64 pixels and
    # 4→6 at 16; node 6 to two classes.
    by_hand = 27 * 64 + 9 * (2 * 64 + 16) + 3 * 64 + 16 + 2
    assert network.executed_macs == dg.count(model).macs == by_hand


def test_a_stem_channel_that_is_live_through_its_carry_alone_is_counted(networks):
    """Stem 16²·27, 8²·9, 8²; the twin's convolution 9·8²; one class."""
    model = networks.tiny(groups=(1,), readout=1, stem_channels=1, num_classes=1, edges=1)
    model.body.stages[0].select(torch.empty(0, dtype=torch.int64))
    network = dg.compile(model, "csr")
    network(networks.images_for(model))
    by_hand = 27 * 16**2 + 9 * 8**2 + 8**2 + 9 * 8**2 + 1
    assert network.executed_macs == dg.count(model).macs == by_hand


# Special wirings


@pytest.mark.parametrize("share", [0, 1], ids=["no edge", "every edge"])
def test_extreme_wirings(build, share, backend, networks):
    model = build()
    networks.select_share(model, share)
    networks.shaken(model, torch.Generator().manual_seed(1))
    network, images = dg.compile(model, backend), networks.images_for(model)
    assert networks.relative(network(images), model(images).detach()) < 1e-10
    # With every edge or none, even `dense` multiplies by no zero.
    assert network.executed_macs == dg.count(model).macs
    assert (network.executed_macs > 0) == bool(share)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("empty", range(3))
def test_a_stage_without_edges_leaves_nothing_to_do(small, empty, networks):
    """Nothing of the image reaches the classifier, yet its logits are those of the constants behind."""
    model = networks.mobilenet(small=small, density=0.5)
    networks.shaken(model, torch.Generator().manual_seed(empty))
    model.body.stages[empty].select(torch.empty(0, dtype=torch.int64))
    network, images = dg.compile(model), networks.images_for(model)
    logits, executed = network.run(images)
    assert networks.relative(logits, model(images).detach()) < 1e-10
    assert torch.equal(logits[0], logits[1])
    assert executed.macs == executed.launches == 0
