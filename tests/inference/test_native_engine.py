"""The whole network in C: the logits and the work of the network it was made from."""

from __future__ import annotations

import copy
import gc
import os
import subprocess
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dnw_graph as dg
from dnw_graph.engine.engine import Plan
from dnw_graph.engine.plan import Builder
from dnw_graph.errors import InputError
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_dynamic import tiny_discrete_time
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.native import library

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)

add = Builder.add

LAW = settings(max_examples=60, deadline=None)


@pytest.fixture(autouse=True)
def one_thread_again():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def relative(a, b):
    return float((a - b).abs().max() / (b.abs().max() or 1))


def images_for(model, count, side=None, seed=3):
    side = side or model.image_size
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


@given(data=st.data())
@LAW
def test_logits_and_work_are_those_of_the_network(data, networks):
    """Against float64, for random structures and wirings, sizes of images, batches and threads."""
    model = data.draw(networks.networks())
    tiny_sides = st.sampled_from([29, 31, 32])
    side = data.draw(tiny_sides if model.network == "tiny_static" else st.integers(1, 37), "side")
    images = images_for(model, data.draw(st.sampled_from([1, 2, 3, 7]), "images"), side)
    torch.set_num_threads(data.draw(st.integers(1, 5), "threads"))
    expected = model(images.double()).detach()
    reference = dg.compile(model, "csr")
    _, wanted = reference.run(images.double())
    network = dg.compile(copy.deepcopy(model).float(), "native")
    logits, executed = network.run(images)
    scale = expected.abs().max().clamp(min=1)
    assert (logits.double() - expected).abs().max() / scale < 2e-5
    assert executed.macs == network.executed_macs == wanted.macs
    if side == model.image_size:
        assert executed.macs == dg.count(model).macs


CONFIGS = [
    "digits/tiny_static_dnw",
    "digits/tiny_discrete_time_dnw",
    "cifar10/tiny_discrete_time_random",
    "cifar10/dnw_x0.225",
    "imagenet/random_x0.225",
    "imagenet/dnw_small_x0.15",
]


@pytest.mark.parametrize("name", CONFIGS)
def test_published_networks(name, request):
    root = request.config.rootpath
    model = dg.build_model(dg.load_config(root / "configs" / f"{name}.yaml")).eval()
    images = images_for(model, 2)
    with torch.no_grad():
        expected = dg.compile(model, "csr")(images)
    network = dg.compile(model, "native")
    logits, executed = network.run(images)
    assert relative(logits, expected) < 2e-5
    assert executed.macs == dg.count(model).macs


def test_norms_that_measure_maps_are_never_run_strip_by_strip():
    """By itself even where the first stage is large; strips of it are refused."""
    options = {"rule": "random", "num_classes": 3, "edges": 2000, "times": 6}
    network = dg.compile(tiny_discrete_time(**options).eval(), "native")
    plan_of_stage = network.tables((3, 32, 32))
    assert plan_of_stage.tables.tobytes() == network.tables((3, 32, 32), fused_stages=0).tables.tobytes()
    with pytest.raises(ValueError, match="instance norms need whole maps"):
        network.tables((3, 32, 32), fused_stages=1)


def small_network(**options):
    settings = {"rule": "random", "num_classes": 3, "image_size": 24, "density": 0.3}
    blocks = ((8, 12, 1, 2), (12, 10, 2, 3), (10, 12, 2, 1))
    return mobilenet_v1(**(settings | {"blocks": blocks} | options)).eval()


@given(data=st.data())
@LAW
def test_running_strip_by_strip_and_block_by_block_changes_no_bit(data, networks):
    """Every way of fusing stages, with rings and blocks of any size, against one operation at a time."""
    model = data.draw(networks.mobilenets()).float()
    network = dg.compile(model, "csr")
    side = data.draw(st.integers(1, 70), "side")
    images = images_for(model, 2, side)

    def logits(**options):
        plan = Plan(network.tables((3, side, side), **options), model.num_classes)
        found, macs = plan.run(images.numpy(), torch.get_num_threads())
        return torch.from_numpy(found), macs

    expected, macs = logits(fused_stages=0)
    fused = data.draw(st.integers(1, model.num_stages), "fused")
    rows = data.draw(st.integers(1, 5), "rows of a strip")
    torch.set_num_threads(data.draw(st.integers(1, 5), "threads"))
    block = data.draw(st.sampled_from([None, 1, 2, 3, 7]), "sources of a block")
    found, same_macs = logits(fused_stages=fused, strip_rows=rows, block=block)
    assert torch.equal(found, expected)
    assert same_macs == macs


def test_the_number_of_threads_and_the_batch_change_no_bit():
    network = dg.compile(small_network(), "native")
    images = images_for(small_network(), 7)
    torch.set_num_threads(1)
    expected = network(images)
    for threads in (2, 3, 4, 8):
        torch.set_num_threads(threads)
        assert torch.equal(network(images), expected)
    for index in range(7):
        assert torch.equal(network(images[index : index + 1])[0], expected[index])


def test_calls_from_several_threads_at_once():
    torch.set_num_threads(2)
    network = dg.compile(small_network(), "native")
    batches = [images_for(small_network(), 3, seed=seed) for seed in range(8)]
    expected = [network(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(20):
            found = list(pool.map(network, batches))
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_forked_process_can_run_it():
    """A data loader's worker is a fork: it has none of its parent's threads."""
    torch.set_num_threads(2)
    network = dg.compile(small_network(), "native")
    images = images_for(small_network(), 2)
    expected = network(images)
    with warnings.catch_warnings():
        # Python 3.12 warns of the parent's threads, which are what this is about.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if not child:
        os._exit(0 if torch.equal(network(images), expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize(("density", "blocks"), [(0.02, 1), (0.2, 12)])
def test_many_edges_go_by_in_blocks(density, blocks, monkeypatch):
    """The networks above are too small for it: here targets hear from more sources than a cache holds."""
    seen = []
    monkeypatch.setattr(Builder, "add", lambda self, o, *edges: (seen.append(o.chunks), add(self, o, *edges)))
    model = small_network(blocks=((8, 300, 1, 6), (300, 10, 2, 1)), density=density)
    images = images_for(model, 2)
    assert relative(dg.compile(model, "native")(images), dg.compile(model, "csr")(images)) < 2e-5
    assert max(seen) == blocks


def test_a_profile_has_every_operation_and_its_work():
    model = small_network()
    network, images = dg.compile(model, "native"), images_for(model, 1)
    found = network.profile(images, calls=3)
    assert all(each.seconds > 0 for each in found[:-1])
    assert found[-1].work.kind == "waiting"
    # The classifier is no operation of its own.
    live = network.program.channels["pooled"]
    assert sum(each.work.macs for each in found) == dg.count(model).macs - 3 * live
    first, nodes = found[0].work, found[1].work
    channels, side = first.macs // (27 * 12 * 12), 12
    assert (first.stage, first.kind) == ("stem", "convolution")
    assert first.bytes == 4 * (3 * 24 * 24 + channels * side * side)
    assert (nodes.stage, nodes.level, nodes.kind) == ("stage_0", 0, "nodes")
    assert nodes.bytes == 4 * 2 * channels * side * side


def test_the_work_of_messages_by_hand():
    """Every candidate is selected: levels of 3, 4 and 4 nodes on maps of 24×24 pixels."""
    model = small_network(blocks=((3, 4, 1, 2),), density=1.0)
    work = [each.work for each in dg.compile(model, "native").profile(images_for(model, 1), calls=1)]
    assert [(each.stage, each.level, each.kind) for each in work[1:]] == [
        ("stage_0", 0, "nodes"),
        ("stage_0", 1, "messages"),
        ("stage_0", 1, "nodes"),
        ("stage_0", 2, "messages"),
        ("head", 0, "pooling"),
        ("all", 0, "waiting"),
    ]
    first, second = work[2], work[4]
    assert (first.macs, second.macs) == (12 * 576, 28 * 576)
    # Sources and targets, four bytes a pixel; eight bytes an edge.
    assert first.bytes == 4 * (3 + 4) * 576 + 8 * 12
    assert second.bytes == 4 * (7 + 4) * 576 + 8 * 28


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_profile_takes_no_longer_than_its_calls(threads):
    network, images = dg.compile(small_network(), "native"), images_for(small_network(), 1)
    torch.set_num_threads(threads)
    network(images)
    start = time.perf_counter()
    found = network.profile(images, calls=1)
    assert 0 < sum(each.seconds for each in found) < time.perf_counter() - start


def test_a_profile_of_nothing_is_refused():
    model = small_network()
    network = dg.compile(model, "native")
    with pytest.raises(InputError, match="calls is 0"):
        network.profile(images_for(model, 1), calls=0)
    with pytest.raises(InputError, match="2 images"):
        network.profile(images_for(model, 2))
    with pytest.raises(InputError, match="backend native only; this network runs on csr"):
        dg.compile(model, "csr").profile(images_for(model, 1))
    with pytest.raises(InputError, match=r"float32 \[B, 3, H, W\]"):
        network.profile(torch.zeros(1, 1, 24, 24))


def test_auto_is_native_for_float32_on_a_cpu():
    model = small_network(density=0.1)
    assert dg.compile(model).backend == "native"
    assert dg.compile(copy.deepcopy(model).double()).backend != "native"


def test_under_autocast_auto_leaves_the_choice_to_torch():
    model = small_network(density=0.1)
    network, images = dg.compile(model), images_for(model, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(images).dtype == torch.bfloat16
    assert network(images).dtype == torch.float32


def test_images_without_order_in_memory_are_copied():
    model = small_network()
    network, images = dg.compile(model, "native"), images_for(model, 2)
    assert torch.equal(network(images.to(memory_format=torch.channels_last)), network(images))
    assert torch.equal(network(images.flip(3).flip(3)), network(images))


def test_a_copy_runs_and_outlives_its_original():
    network, images = dg.compile(small_network(), "native"), images_for(small_network(), 2)
    expected = network(images)
    twin = copy.deepcopy(network)
    del network
    gc.collect()
    assert torch.equal(twin(images), expected)


def test_maps_that_the_tiny_head_would_misread_are_refused():
    model = tiny_static(rule="random", num_classes=3, edges=4000).eval()
    with pytest.raises(ValueError, match=r"\[1, 3, 40, 40\].*resize them to 32×32"):
        dg.compile(model, "native")(torch.zeros(1, 3, 40, 40))


def test_no_image_gives_no_logits():
    logits, executed = dg.compile(small_network(), "native").run(torch.empty(0, 3, 24, 24))
    assert logits.shape == (0, 3)
    assert executed.macs == 0


@pytest.mark.parametrize(
    "images",
    [torch.zeros(1, 3, 24, 24, dtype=torch.float64), torch.zeros(1, 1, 24, 24)],
    ids=["dtype", "grey"],
)
def test_other_images_are_refused(images):
    with pytest.raises(InputError, match=r"float32 \[B, 3, H, W\]"):
        dg.compile(small_network(), "native")(images)


def test_a_network_of_another_dtype_is_refused():
    with pytest.raises(InputError, match="float32"):
        dg.compile(small_network().double(), "native")


def test_every_instruction_set_gives_the_same_logits(tmp_path):
    """Each that this processor has, in a process of its own, which asks for it by the environment."""
    model = tiny_static(rule="random", num_classes=3, edges=4000).eval()
    images = images_for(model, 2)
    torch.save({"images": images, "state": model.state_dict()}, tmp_path / "case.pt")
    script = (
        "import sys, torch, dnw_graph as dg\n"
        "from dnw_graph.models.tiny_static import tiny_static\n"
        "case = torch.load(sys.argv[1] + '/case.pt', weights_only=True)\n"
        "model = tiny_static(rule='random', num_classes=3, edges=4000).eval()\n"
        "model.load_state_dict(case['state'])\n"
        "torch.save(dg.compile(model, 'native')(case['images']), sys.argv[1] + '/logits.pt')\n"
    )
    for instructions in library.supported():
        environment = os.environ | {"DNW_GRAPH_INSTRUCTIONS": instructions}
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=environment, check=True)
        logits = torch.load(tmp_path / "logits.pt", weights_only=True)
        assert relative(logits, dg.compile(model, "csr")(images)) < 2e-5, instructions


def test_instructions_that_do_not_exist_are_refused(monkeypatch):
    monkeypatch.setenv("DNW_GRAPH_INSTRUCTIONS", "mmx")
    library.instructions.cache_clear()
    with pytest.raises(InputError, match="DNW_GRAPH_INSTRUCTIONS=mmx: this processor cannot run that"):
        library.instructions()
    monkeypatch.delenv("DNW_GRAPH_INSTRUCTIONS")
    library.instructions.cache_clear()
    assert library.instructions() == library.supported()[0]
