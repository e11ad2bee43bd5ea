"""Compiled networks of random structures and wirings: the same logits, for exactly the counted work."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

import dnw_graph as dg
from dnw_graph.graph.status import CONSTANT, DEAD, LIVE
from dnw_graph.interchange.extract import graph_of
from dnw_graph.message_passing import backends

# DGL has no wheel for the newest Pythons.
USABLE = {each.name for each in backends() if each.reason() is None}
BACKENDS = [name for name in ("dgl", "csr", "dense") if name in USABLE]
LAW = settings(max_examples=40, deadline=None)
SMALL_LAW = settings(max_examples=20, deadline=None)


def counted_flops(network, images):
    with FlopCounterMode(display=False) as counter:
        network(images)
    return counter.get_total_flops()


@given(data=st.data())
@LAW
def test_logits_are_those_of_the_network_and_of_the_plain_evaluator(data, networks, evaluator):
    model = data.draw(networks.networks())
    tiny_sides = st.sampled_from([29, 31, 32])
    side = data.draw(tiny_sides if model.network == "tiny_static" else st.integers(1, 17), "side")
    images = networks.images_for(model, data.draw(st.integers(1, 3), "images"), side)
    expected = model(images).detach()
    assert networks.relative(evaluator.logits(model, graph_of(model), images), expected) < 1e-10
    for backend in [*BACKENDS, "auto"]:
        assert networks.relative(dg.compile(model, backend)(images), expected) < 1e-10, backend


@given(data=st.data())
@LAW
def test_executed_is_exact_and_what_torch_counts(data, networks):
    """dgl and csr execute the exact count; dense says what it multiplies, zeros included."""
    model = data.draw(networks.networks())
    images = networks.images_for(model, data.draw(st.integers(1, 3), "images"))
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
    images = networks.images_for(model, 1, side)
    network(images)
    wiring = model.wiring_data()
    node = {name: values.tolist() for name, values in wiring.nodes.items()}
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
    for u, v in zip(wiring.edges["source"].tolist(), wiring.edges["target"].tolist(), strict=True):
        if node["status"][u] == node["status"][v] == LIVE:
            macs += sides[node["level"][v]] ** 2
    macs += dg.count(model).head.macs
    assert network.executed_macs == macs
    assert 2 * macs == counted_flops(network, images)


@given(data=st.data())
@SMALL_LAW
def test_a_batch_is_its_images_one_by_one(data, networks):
    model = data.draw(networks.networks())
    network, images = dg.compile(model), networks.images_for(model, 3)
    alone = torch.cat([network(image[None]) for image in images])
    assert networks.relative(alone, network(images)) < 1e-10


def test_random_networks_have_every_status(networks):
    """What the laws above are held against: no kind of node may be missing."""
    found = set()

    @given(model=networks.networks())
    @settings(max_examples=150, deadline=None, database=None, derandomize=True)
    def look(model):
        data = model.wiring_data()
        status, level = (data.nodes[name] for name in ("status", "level"))
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
        hears = set(data.edges["target"].numpy()[status[data.edges["source"].numpy()] == CONSTANT].tolist())
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
