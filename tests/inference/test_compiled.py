"""Compiled networks in use: sizes, batches, threads, copies, number formats, and what they refuse."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.models.dense_baselines import shufflenet_v2
from dnw_graph.native import library


def test_two_sizes_after_another(networks):
    model = networks.shaken(networks.mobilenet(), torch.Generator().manual_seed(0))
    network = dg.compile(model, "csr")
    executed = {}
    for side in (13, 20, 13, 7, 20):
        images = networks.images_for(model, 2, side)
        assert networks.relative(network(images), model(images).detach()) < 1e-10
        assert executed.setdefault(side, network.executed_macs) == network.executed_macs
    assert executed[7] < executed[13] < executed[20]


def test_images_need_not_be_square(networks):
    model = networks.shaken(networks.mobilenet(), torch.Generator().manual_seed(0))
    images = torch.randn(2, 3, 9, 14, dtype=torch.float64)
    assert networks.relative(dg.compile(model)(images), model(images).detach()) < 1e-10


def test_a_batch_without_images(build, networks):
    network = dg.compile(build())
    logits, executed = network.run(networks.images_for(build(), 0))
    assert logits.shape == (0, 3)
    assert executed.macs == 0


def test_every_thread_reads_its_own_executed_macs(networks):
    model = networks.shaken(networks.mobilenet(), torch.Generator().manual_seed(0))
    network = dg.compile(model, "csr")
    sides = (7, 13, 20, 33)
    alone = {}
    for side in sides:
        network(networks.images_for(model, 1, side))
        alone[side] = network.executed_macs
    together = Barrier(len(sides))

    def work(side):
        images, found = networks.images_for(model, 2, side), []
        for _ in range(5):
            together.wait()
            _, executed = network.run(images)
            together.wait()
            found += [network.executed_macs, executed.macs]
        return found

    with ThreadPoolExecutor(len(sides)) as pool:
        for side, found in zip(sides, pool.map(work, sides), strict=True):
            assert set(found) == {alone[side]}


def test_two_networks_in_one_thread_keep_their_own_executed_macs(networks):
    first, second = (
        dg.compile(networks.mobilenet(), "csr"),
        dg.compile(networks.mobilenet(density=0.5), "csr"),
    )
    images = networks.images_for(networks.mobilenet())
    first(images)
    assert second.executed_macs == 0
    second(images)
    assert 0 < first.executed_macs < second.executed_macs


def test_model_and_compiled_network_do_not_touch_each_other(build, networks):
    model = build()
    untouched = copy.deepcopy(model)
    images, before = networks.images_for(model), untouched.state_dict()
    network = dg.compile(model.train())
    logits = network(images)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(1)
    networks.select_share(model, 0.5)
    assert torch.equal(network(images), logits)
    # A size that was not seen before the change.
    if model.network == "mobilenet_v1":
        side = model.image_size + 4
        torch.testing.assert_close(
            network(networks.images_for(model, 2, side)), untouched(networks.images_for(model, 2, side))
        )


def test_other_dtypes_copies_and_states(backend, networks):
    model = networks.tiny()
    network, images = dg.compile(model, backend), networks.images_for(model)
    expected = network(images)
    assert not expected.requires_grad
    twin = copy.deepcopy(network)
    assert torch.equal(twin(images), expected)
    twin.load_state_dict(network.state_dict())
    twin.double()
    assert networks.relative(twin(images.double()), model.double()(images.double()).detach()) < 1e-6
    assert torch.equal(network(images), expected)
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_is_that_of_the_network(build, dtype, networks):
    """Constants are made in full precision even if first asked for under autocast."""
    model = build()
    network, side = dg.compile(model), 32 if model.network == "tiny_static" else 20
    images = networks.images_for(model, 2, side)
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        low, expected = network(images), model(images)
    assert low.dtype == expected.dtype
    assert networks.relative(low.float(), expected.float()) < 0.05
    assert network.resolved_backend(dtype) == "dense"
    assert networks.relative(network(images), model(images).detach()) < 1e-5


# What `auto` takes for a sparse wiring in float32.
SPARSE = "native" if library.reason() is None else "csr"


def test_auto_is_one_of_the_backends(networks):
    assert dg.compile(networks.mobilenet(density=0.01)).backend == SPARSE
    assert dg.compile(networks.mobilenet(density=0.9)).backend == "dense"


# Refusals


def test_a_dense_network_has_nothing_to_compile():
    with pytest.raises(InputError, match="ShuffleNetV2 has no wiring to compile; give a wired network"):
        dg.compile(shufflenet_v2(0.5, 10, 32))


def test_an_unknown_backend_is_named_with_the_known_ones(networks):
    with pytest.raises(InputError, match=r"backend 'cuda' is not known; choose auto, .*csr"):
        dg.compile(networks.mobilenet(), "cuda")


@pytest.mark.parametrize("share", [0, 0.5])
def test_tiny_network_refuses_another_size_like_the_uncompiled_one(share, networks):
    model = networks.tiny()
    networks.select_share(model, share)
    network, images = dg.compile(model), networks.images_for(model, 1, 40)
    for refusing in (model, network):
        with pytest.raises(InputError, match=r"of shape \[1, 3, 40, 40\], .*; resize them to 32×32 pixels"):
            refusing(images)
