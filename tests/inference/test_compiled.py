"""Compiled networks: the logits of the network they were made from, for exactly the counted work."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.graph.status import CONSTANT, DEAD, LIVE
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.dense_baselines import shufflenet_v2
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static

BACKENDS = ["dgl", "csr", "dense"]
backends = pytest.mark.parametrize("backend", BACKENDS)
LAW = settings(max_examples=40, deadline=None)
SMALL_LAW = settings(max_examples=20, deadline=None)
BLOCKS = ((4, 6, 1, 2), (6, 5, 2, 3), (5, 6, 2, 1))


def mobilenet(**options):
    settings = {"rule": "random", "num_classes": 3, "image_size": 13, "density": 0.3, "blocks": BLOCKS}
    return mobilenet_v1(**(settings | options)).eval()


def tiny(**options):
    settings = {"rule": "random", "num_classes": 3, "groups": (4, 6, 6), "readout": 4, "stem_channels": 2}
    return tiny_static(**(settings | {"edges": 25} | options)).eval()


def images_for(model, count=2, side=None, seed=3):
    side = side or model.image_size
    dtype = model.body.stages[0].weight.dtype
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed)).to(dtype)


def relative(a, b):
    """max|a − b| / max|b|; where b is 0, max|a|."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    return np.abs(a - b).max() / (np.abs(b).max() or 1)


def counted_flops(network, images):
    with FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops()


# Laws over random structures and wirings


@given(data=st.data())
@LAW
def test_logits_are_those_of_the_network_and_of_the_plain_evaluator(data, networks, evaluator):
    model = data.draw(networks.networks())
    tiny_sides = st.sampled_from([29, 31, 32])
    side = data.draw(tiny_sides if model.network == "tiny_static" else st.integers(1, 17), "side")
    images = images_for(model, data.draw(st.integers(1, 3), "images"), side)
    expected = model(images).detach()
    assert relative(evaluator.logits(model, graph_of(model), images), expected) < 1e-10
    for backend in [*BACKENDS, "auto"]:
        assert relative(dg.compile(model, backend)(images), expected) < 1e-10, backend


@given(data=st.data())
@LAW
def test_executed_is_exact_and_what_torch_counts(data, networks):
    """dgl and csr execute the exact count; dense says what it multiplies, zeros included."""
    model = data.draw(networks.networks())
    images = images_for(model, data.draw(st.integers(1, 3), "images"))
    exact = dg.count(model).macs
    for backend in BACKENDS:
        network = dg.compile(model, backend)
        _, executed = network.run(images)
        assert executed.macs == network.executed_macs
        assert executed.macs * len(images) == executed.total
        assert 2 * executed.total == counted_flops(network, images), backend
        if backend == "dense":
            assert executed.macs >= exact
        else:
            assert executed.macs == exact, backend


@given(data=st.data())
@SMALL_LAW
def test_executed_is_exact_at_another_size_than_configured(data, networks):
    """One model, seen at its own size and at another, does the work of a model configured for that size."""
    model = data.draw(networks.mobilenets())
    side = data.draw(st.integers(1, 17), "side")
    network = dg.compile(model, "csr")
    images = images_for(model, 1, side)
    network(images)
    graph = model.graph()
    node = {name: values.tolist() for name, values in graph.ndata.items()}
    # By hand: sides of the maps level by level, then 27, 9 and 1 products per pixel.
    sides, macs = [side], 0
    for stage in model.layout.stages:
        inner = -(-sides[-1] // stage.levels[0].stride)
        sides += [inner] * (len(stage.levels) - 1)
    for v, status in enumerate(node["status"]):
        if status == LIVE:
            level = node["level"][v]
            macs += 27 * side**2 if level == 0 else 0
            out = -(-sides[level] // node["stride"][v])
            macs += 9 * out**2 if level < len(sides) - 1 else 0
    for u, v in zip(*(ends.tolist() for ends in graph.edges()), strict=True):
        if node["status"][u] == node["status"][v] == LIVE:
            macs += sides[node["level"][v]] ** 2
    macs += dg.count(model).head.macs
    assert network.executed_macs == macs
    assert 2 * macs == counted_flops(network, images)


@given(data=st.data())
@SMALL_LAW
def test_a_batch_is_its_images_one_by_one(data, networks):
    model = data.draw(networks.networks())
    network, images = dg.compile(model), images_for(model, 3)
    alone = torch.cat([network(image[None]) for image in images])
    assert relative(alone, network(images)) < 1e-10


def test_random_networks_have_every_status(networks):
    """What the laws above are held against: no kind of node may be missing."""
    found = set()

    @given(model=networks.networks())
    @settings(max_examples=60, deadline=None, database=None, derandomize=True)
    def look(model):
        status, level = (model.graph().ndata[name] for name in ("status", "level"))
        for code, word in ((DEAD, "dead"), (CONSTANT, "constant"), (LIVE, "live")):
            for place, here in (
                ("stem", level == 0),
                ("last", level == level.max()),
                ("inner", (level > 0) & (level < level.max())),
            ):
                if bool((status[here] == code).any()):
                    found.add(f"{word} {place}")
            if bool((status == code).all()):
                found.add(f"all {word}")
        hears = {int(v) for u, v in zip(*model.graph().edges(), strict=True) if status[u] == CONSTANT}
        if any(status[v] == CONSTANT for v in hears):
            found.add("chain of constants")
        if any(status[v] == LIVE for v in hears):
            found.add("constant into live")
        if not bool((status == LIVE).any()):
            found.add("nothing live")

    look()
    # A stem channel is never constant; a last node is dead only where a Small classifier does not read it.
    expected = {f"{word} {place}" for word in ("dead", "live") for place in ("stem", "inner", "last")}
    expected |= {"constant inner", "constant last", "all live"}
    expected |= {"chain of constants", "constant into live", "nothing live"}
    assert found >= expected


# Numbers by hand


def test_a_constant_map_sees_the_border():
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
    logits, executed = network.run(images_for(model))
    # 2·(4, 6, 9) − 10 → ReLU → 0, 2, 8; the mean over 4 corners, 4 edges and 1 centre is 16/9.
    torch.testing.assert_close(logits, torch.full((2, 1), 0.5 + 16 / 9, dtype=torch.float64))
    assert executed.macs == dg.count(model).macs == 0


def test_compiled_nine_nodes(nine_nodes):
    """Live: 0, 2, 4, 6. Constant: 3, which hears nothing, then 5 and 7 behind it, and 8. Dead: 1."""
    model = nine_nodes.double()
    network = dg.compile(model, "dgl")
    images = images_for(model, 2)
    assert relative(network(images), model(images).detach()) < 1e-12
    # Stem 27·64; convolutions of 0 and 2 at 64 pixels, of 4 at 16; edges 0→2, 2→4, 0→4 at 64 pixels and
    # 4→6 at 16; node 6 to two classes.
    by_hand = 27 * 64 + 9 * (2 * 64 + 16) + 3 * 64 + 16 + 2
    assert network.executed_macs == dg.count(model).macs == by_hand


def test_a_stem_channel_that_is_live_through_its_carry_alone_is_counted():
    """Stem 16²·27, 8²·9, 8²; the twin's convolution 9·8²; one class."""
    model = tiny(groups=(1,), readout=1, stem_channels=1, num_classes=1, edges=1)
    model.body.stages[0].select(torch.empty(0, dtype=torch.int64))
    network = dg.compile(model, "csr")
    network(images_for(model))
    by_hand = 27 * 16**2 + 9 * 8**2 + 8**2 + 9 * 8**2 + 1
    assert network.executed_macs == dg.count(model).macs == by_hand


# Special wirings


def select_share(model, share):
    for index, (_, stage) in enumerate(model.wired_stages()):
        count = stage.stage.num_candidates
        ids = torch.randperm(count, generator=torch.Generator().manual_seed(index))[: int(share * count)]
        stage.select(ids.sort().values)


@backends
@pytest.mark.parametrize(
    "build", [mobilenet, lambda: mobilenet(small=True), tiny], ids=["normal", "small", "tiny"]
)
@pytest.mark.parametrize("share", [0, 1], ids=["no edge", "every edge"])
def test_extreme_wirings(build, share, backend, networks):
    model = build()
    select_share(model, share)
    networks.shaken(model, torch.Generator().manual_seed(1))
    network, images = dg.compile(model, backend), images_for(model)
    assert relative(network(images), model(images).detach()) < 1e-10
    # With every edge or none, even `dense` multiplies by no zero.
    assert network.executed_macs == dg.count(model).macs
    assert (network.executed_macs > 0) == bool(share)


@pytest.mark.parametrize("small", [False, True])
@pytest.mark.parametrize("empty", range(3))
def test_a_stage_without_edges_leaves_nothing_to_do(small, empty, networks):
    """Nothing of the image reaches the classifier, yet its logits are those of the constants behind."""
    model = mobilenet(small=small, density=0.5)
    networks.shaken(model, torch.Generator().manual_seed(empty))
    model.body.stages[empty].select(torch.empty(0, dtype=torch.int64))
    network, images = dg.compile(model), images_for(model)
    logits, executed = network.run(images)
    assert relative(logits, model(images).detach()) < 1e-10
    assert torch.equal(logits[0], logits[1])
    assert executed.macs == executed.launches == 0


# Use


def test_two_sizes_after_another(networks):
    model = networks.shaken(mobilenet(), torch.Generator().manual_seed(0))
    network = dg.compile(model, "csr")
    executed = {}
    for side in (13, 20, 13, 7, 20):
        images = images_for(model, 2, side)
        assert relative(network(images), model(images).detach()) < 1e-10
        assert executed.setdefault(side, network.executed_macs) == network.executed_macs
    assert executed[7] < executed[13] < executed[20]


def test_images_need_not_be_square(networks):
    model = networks.shaken(mobilenet(), torch.Generator().manual_seed(0))
    images = torch.randn(2, 3, 9, 14, dtype=torch.float64)
    assert relative(dg.compile(model)(images), model(images).detach()) < 1e-10


@pytest.mark.parametrize("build", [mobilenet, tiny])
def test_a_batch_without_images(build):
    network = dg.compile(build())
    logits, executed = network.run(images_for(build(), 0))
    assert logits.shape == (0, 3)
    assert executed.macs == 0


def test_every_thread_reads_its_own_executed_macs(networks):
    model = networks.shaken(mobilenet(), torch.Generator().manual_seed(0))
    network = dg.compile(model, "csr")
    sides = (7, 13, 20, 33)
    alone = {}
    for side in sides:
        network(images_for(model, 1, side))
        alone[side] = network.executed_macs
    together = Barrier(len(sides))

    def work(side):
        images, found = images_for(model, 2, side), []
        for _ in range(5):
            together.wait()
            _, executed = network.run(images)
            together.wait()
            found += [network.executed_macs, executed.macs]
        return found

    with ThreadPoolExecutor(len(sides)) as pool:
        for side, found in zip(sides, pool.map(work, sides), strict=True):
            assert set(found) == {alone[side]}


def test_two_networks_in_one_thread_keep_their_own_executed_macs():
    first, second = dg.compile(mobilenet(), "csr"), dg.compile(mobilenet(density=0.5), "csr")
    images = images_for(mobilenet())
    first(images)
    assert second.executed_macs == 0
    second(images)
    assert 0 < first.executed_macs < second.executed_macs


@pytest.mark.parametrize(
    "build", [mobilenet, lambda: mobilenet(small=True), tiny], ids=["normal", "small", "tiny"]
)
def test_model_and_compiled_network_do_not_touch_each_other(build):
    model = build()
    untouched = copy.deepcopy(model)
    images, before = images_for(model), untouched.state_dict()
    network = dg.compile(model.train())
    logits = network(images)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.add_(1)
    select_share(model, 0.5)
    assert torch.equal(network(images), logits)
    # A size that was not seen before the change.
    if model.network == "mobilenet_v1":
        side = model.image_size + 4
        torch.testing.assert_close(network(images_for(model, 2, side)), untouched(images_for(model, 2, side)))


@backends
def test_other_dtypes_copies_and_states(backend):
    model = tiny()
    network, images = dg.compile(model, backend), images_for(model)
    expected = network(images)
    assert not expected.requires_grad
    twin = copy.deepcopy(network)
    assert torch.equal(twin(images), expected)
    twin.load_state_dict(network.state_dict())
    twin.double()
    assert relative(twin(images.double()), model.double()(images.double()).detach()) < 1e-6
    assert torch.equal(network(images), expected)
    assert not any(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    "build", [mobilenet, lambda: mobilenet(small=True), tiny], ids=["normal", "small", "tiny"]
)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision_is_that_of_the_network(build, dtype):
    """Constants are made in full precision even if first asked for under autocast."""
    model = build()
    network, side = dg.compile(model), 32 if model.network == "tiny_static" else 20
    images = images_for(model, 2, side)
    with torch.no_grad(), torch.autocast("cpu", dtype=dtype):
        low, expected = network(images), model(images)
    assert low.dtype == expected.dtype
    assert relative(low.float(), expected.float()) < 0.05
    assert network.resolved_backend(dtype) == "dense"
    assert relative(network(images), model(images).detach()) < 1e-5


def test_auto_is_one_of_the_backends():
    assert dg.compile(mobilenet(density=0.01)).backend == "csr"
    assert dg.compile(mobilenet(density=0.9)).backend == "dense"


# Refusals


def test_a_dense_network_has_nothing_to_compile():
    with pytest.raises(InputError, match="ShuffleNetV2 has no wiring to compile; give a wired network"):
        dg.compile(shufflenet_v2(0.5, 10, 32))


def test_an_unknown_backend_is_named_with_the_known_ones():
    with pytest.raises(InputError, match=r"backend 'cuda' is not known; choose auto, .*csr"):
        dg.compile(mobilenet(), "cuda")


@pytest.mark.parametrize("share", [0, 0.5])
def test_tiny_network_refuses_another_size_like_the_uncompiled_one(share):
    model = tiny()
    select_share(model, share)
    network, images = dg.compile(model), images_for(model, 1, 40)
    for refusing in (model, network):
        with pytest.raises(ValueError, match="the readout maps are 10×10, not 8×8; give 32×32 images"):
            refusing(images)
