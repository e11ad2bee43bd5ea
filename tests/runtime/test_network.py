"""The runtime's network beside backend dense: its logits, its threads, its memory."""

from __future__ import annotations

import multiprocessing
import os
import threading

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.native import library
from dnw_graph.runtime.document import encoded
from dnw_graph.runtime.network import Network

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)


@pytest.fixture(scope="module")
def files(documents, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    paths = {kind: folder / f"{kind}.dnw" for kind in documents}
    for kind, path in paths.items():
        path.write_bytes(encoded(documents[kind]))
    return paths


def images(side, count=3, width=None):
    numbers = np.random.default_rng(side).normal(size=(count, 3, side, width or side))
    return numbers.astype(np.float32)


@pytest.mark.parametrize("kind", ["mobilenet", "small", "tiny", "discrete"])
def test_the_logits_are_those_of_dense(kind, files, models, networks):
    network, model = Network(files[kind], threads=2), models[kind]
    given = images(network.image_size)
    expected = dg.compile(model, "dense")(torch.from_numpy(given)).numpy()
    for threads in (1, 2, 3):
        assert networks.relative(network(given, threads=threads), expected) < 2e-5
    assert network.macs == dg.count(model).macs
    assert network.provenance == {"from": kind}


def test_images_of_other_sizes(files, models, networks):
    network, model = Network(files["mobilenet"]), models["mobilenet"]
    for height, width in ((1, 1), (7, 30), (40, 13), (64, 64)):
        given = images(height, 2, width)
        expected = dg.compile(model, "dense")(torch.from_numpy(given)).numpy()
        assert networks.relative(network(given), expected) < 2e-5
    assert network(images(13, 0)).shape == (0, 3)


def test_many_threads_call_one_network(files):
    network = Network(files["mobilenet"], threads=2)
    sides = [9, 13, 16, 20, 24]
    expected = {side: network(images(side)) for side in sides}
    wrong = []

    def call(first):
        for turn in range(30):
            side = sides[(first + turn) % len(sides)]
            if not np.array_equal(network(images(side)), expected[side]):
                wrong.append(side)

    callers = [threading.Thread(target=call, args=(first,)) for first in range(4)]
    for each in callers:
        each.start()
    for each in callers:
        each.join()
    assert wrong == []


def test_a_child_after_a_fork_goes_on(files):
    """While other threads of the parent are in the middle of calls."""
    network = Network(files["mobilenet"], threads=2)
    given = images(13)
    expected, done = network(given), threading.Event()

    def keep_calling():
        while not done.is_set():
            network(images(16))

    def in_child():
        same = np.array_equal(network(given), expected) and network(images(20)).shape == (3, 3)
        os._exit(0 if same else 1)

    caller = threading.Thread(target=keep_calling)
    caller.start()
    try:
        context = multiprocessing.get_context("fork")
        for _ in range(5):
            child = context.Process(target=in_child)
            child.start()
            child.join(60)
            assert child.exitcode == 0
    finally:
        done.set()
        caller.join()


def test_plans_of_many_sizes_do_not_pile_up(files):
    network = Network(files["mobilenet"])
    for side in range(8, 48):
        network(images(side, 1))
    kept = network._engine._plans
    assert [size[1] for size in kept] == list(range(40, 48))
    network(images(40, 1))
    network(images(90, 1))
    assert (3, 40, 40) in kept
    assert (3, 41, 41) not in kept


def test_plans_together_take_no_more_than_allowed(files):
    network = Network(files["mobilenet"], threads=3)

    def taken(plan):
        return plan.bytes + 3 * plan.bytes_per_thread

    one = taken(network._engine.plan((3, 40, 40)))
    network._engine._most_bytes = 2 * one
    for side in (40, 41, 39, 40, 38):
        network(images(side, 1))
    assert sum(taken(plan) for plan in network._engine._plans.values()) <= 2 * one
    network(images(200, 1))
    assert list(network._engine._plans) == [(3, 200, 200)]


def test_images_that_need_too_much_memory_are_refused(files):
    network = Network(files["mobilenet"], memory=1 << 20)
    with pytest.raises(
        InputError, match=r"images of 3000×3000 pixels take [0-9,]+ MB of maps, more than the 1 allow"
    ):
        network(images(3000, 1))
    assert network(images(13)).shape == (3, 3)


def test_threads_without_memory_for_images_of_their_own_stay_idle(files):
    network, asked = Network(files["mobilenet"], threads=8), []
    plan = network._engine.plan((3, 40, 40))
    plan.run = lambda given, threads: (asked.append(threads), 0)
    for memory in (1, 3 * plan.bytes_per_thread, 1 << 30):
        network._memory = memory
        network(images(40))
    assert asked == [1, 3, 8]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.zeros((3, 13, 13), np.float32), r"images are float32 \[3, 13, 13\]; give float32 \[B, 3, H, W\]"),
        (np.zeros((1, 1, 13, 13), np.float32), r"images are float32 \[1, 1, 13, 13\]"),
        (np.zeros((1, 3, 0, 13), np.float32), r"images are float32 \[1, 3, 0, 13\]"),
        (np.zeros((1, 3, 13, 13), np.uint8), "images are uint8"),
        ("net.png", "images are <U7"),
    ],
)
def test_what_is_no_batch_of_images(given, said, files):
    with pytest.raises(InputError, match=said):
        Network(files["mobilenet"])(given)


def test_other_layouts_and_doubles_give_the_same(files):
    network, given = Network(files["mobilenet"]), images(13)
    expected = network(given)
    assert np.array_equal(network(given.astype(np.float64)), expected)
    assert np.array_equal(network(np.asfortranarray(given)), expected)
    assert np.array_equal(network(given[::-1])[::-1], expected)


@pytest.mark.parametrize("threads", [0, -1, 257, 1.5, True])
def test_threads_are_a_number_of_them(threads, files):
    with pytest.raises(InputError, match="give a number from 1 to 256"):
        Network(files["tiny"], threads=threads)
