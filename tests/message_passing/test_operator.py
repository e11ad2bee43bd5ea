"""The operator as torch sees it: checks, cost, export and compilation."""

from __future__ import annotations

import threading

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from dnw_graph.message_passing import EdgeIndex, message_passing, recording
from dnw_graph.message_passing.operator import edge_gradient, send_back
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.tiny_static import tiny_static


# Torch 2.14's own check reads .grad of what is no leaf.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("base", [True, False])
@pytest.mark.parametrize("reach", ["candidates", "selected"])
def test_opcheck_of_message_passing(block, backend, reach, base):
    operands = block(base=base)
    index = operands.index
    torch.library.opcheck(
        message_passing,
        (
            operands.h,
            operands.weight,
            index.pointer,
            index.source,
            index.position,
            operands.base,
            reach,
            backend,
        ),
    )


def test_opcheck_of_sending_back(block, backend):
    operands = block()
    index = operands.index
    torch.library.opcheck(
        send_back,
        (
            operands.base.detach(),
            operands.weight.detach(),
            index.pointer,
            index.source,
            index.position,
            index.num_sources,
            backend,
        ),
    )


@pytest.mark.parametrize("reach", ["candidates", "selected"])
def test_opcheck_of_the_edge_gradient(block, backend, reach):
    operands = block()
    index = operands.index
    torch.library.opcheck(
        edge_gradient,
        (
            operands.base.detach(),
            operands.h.detach(),
            index.pointer,
            index.source,
            index.position,
            operands.weight.numel(),
            reach,
            backend,
            -1,
            1.0,
        ),
    )


def flops_by_operator(function):
    with FlopCounterMode(display=False) as counter:
        function()
    counts = counter.get_flop_counts()["Global"]
    return {str(name).rpartition(".")[2]: count for name, count in counts.items() if "dnw_graph" in str(name)}


@pytest.mark.parametrize(
    ("name", "forward"), [("csr", 2 * 5 * 60), ("dgl", 2 * 5 * 60), ("dense", 2 * 12 * 60)]
)
def test_flops_are_those_of_the_edges_and_of_all_candidates_for_dense(block, name, forward):
    """5 of 4·3 edges; 60 = 3 images of 4×5 pixels; two FLOPs to a multiply-accumulate."""
    operands = block(shape=(3, 4, 5))
    operands.index = EdgeIndex.of_positions(torch.tensor([0, 2, 3, 7, 11]), 4, 3)
    for reach, slope in (("candidates", 2 * 12 * 60), ("selected", forward)):
        counts = flops_by_operator(lambda reach=reach: operands.send(name, reach).sum().backward())
        assert counts == {
            "message_passing": forward,
            "send_back": forward,
            "edge_gradient": slope,
        }


@pytest.mark.parametrize(
    ("name", "images", "factor", "macs"),
    [
        # One image of three gives all candidates theirs; selected edges need the other two.
        ("csr", 1, 3.0, 12 * 20 + 5 * 40),
        ("dense", 1, 3.0, 12 * 20 + 12 * 40),
        ("csr", 0, 1.0, 5 * 60),
        ("csr", 3, 2.0, 12 * 60),
        ("csr", -1, 2.0, 12 * 60),
    ],
)
def test_flops_of_a_gradient_from_part_of_the_images(block, name, images, factor, macs):
    """As above: 5 of 4·3 edges, images of 20 pixels."""
    operands = block(shape=(3, 4, 5))
    index = EdgeIndex.of_positions(torch.tensor([0, 2, 3, 7, 11]), 4, 3)
    tensors = operands.base.detach(), operands.h.detach(), index.pointer, index.source, index.position
    counts = flops_by_operator(
        lambda: edge_gradient(*tensors, operands.weight.numel(), "candidates", name, images, factor)
    )
    assert counts == {"edge_gradient": 2 * macs}


@pytest.mark.parametrize(("name", "macs"), [("csr", 304), ("dgl", 304), ("dense", 864)])
def test_nine_nodes_cost_by_hand(nine_nodes, passing_by, name, macs):
    """4 edges on 8×8 and 3 on 4×4 pixels; dense: (8 + 4) on 8×8 and 6 on 4×4. Two images.

    FLOPs also know the convolutions: 9 for each pixel that 4 nodes send on 8×8 and 2 on 4×4.
    """
    passing_by(name, nine_nodes)
    images = torch.randn(2, 3, 8, 8)
    with recording() as executed:
        nine_nodes(images)
    assert (executed.total, executed.launches) == (2 * macs, 3)
    convolutions = 9 * (4 * 64 + 2 * 16)
    assert flops_by_operator(lambda: nine_nodes(images)) == {"stage": 2 * 2 * (macs + convolutions)}


def test_nine_nodes_learn_from_half_of_the_images_by_hand(nine_nodes, passing_by, monkeypatch):
    """Back: the convolutions three times (anew, to maps, to kernels), the messages to the features of both
    images, all candidates for one image, and the selected edges for the other."""
    passing_by("csr", nine_nodes)
    monkeypatch.setattr(WiredStage, "gradient_plan", lambda self, batch: (1, 2.0))
    images = torch.randn(2, 3, 8, 8)
    forward = flops_by_operator(lambda: nine_nodes(images))["stage"]
    counts = flops_by_operator(lambda: nine_nodes(images).sum().backward())
    convolutions, edges, candidates = 9 * (4 * 64 + 2 * 16), 304, 864
    assert forward == counts["stage"] == 2 * 2 * (edges + convolutions)
    assert counts["stage_backward"] == 2 * (2 * (3 * convolutions + edges) + candidates + edges)


def test_a_block_without_an_edge_executes_nothing(block, backend):
    operands = block(share=0.0)
    with recording() as executed:
        operands.send(backend)
    assert executed.total == 0
    assert flops_by_operator(lambda: operands.send(backend)) == {"message_passing": 0}


def test_each_thread_records_its_own_launches(block):
    operands = block(share=1.1, shape=(1, 1, 1))  # 12 edges, one pixel
    inside = threading.Barrier(2)
    totals = {}

    def work(name, launches):
        with recording() as executed:
            inside.wait(timeout=10)
            for _ in range(launches):
                operands.send("csr")
            inside.wait(timeout=10)
        totals[name] = executed.total

    threads = [threading.Thread(target=work, args=(name, count)) for name, count in (("a", 1), ("b", 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == {"a": 12, "b": 36}


def test_recordings_nest_and_end(block):
    operands = block(share=1.1, shape=(1, 1, 1))
    with recording() as outer:
        operands.send("csr")
        with recording() as inner:
            operands.send("csr")
    operands.send("csr")
    assert (outer.total, inner.total) == (12, 12)


def small_networks():
    return {
        "tiny": tiny_static(
            rule="top_k", num_classes=3, edges=20, groups=(3, 5, 5), readout=4, stem_channels=2
        ),
        "small": mobilenet_v1(
            rule="top_k",
            num_classes=3,
            image_size=32,
            width=0.4,
            small=True,
            blocks=((3, 4, 1, 1), (4, 6, 2, 2)),
        ),
    }


@pytest.mark.parametrize("name", ["tiny", "small"])
def test_export_keeps_one_operator_per_stage_and_its_numbers(name):
    model = small_networks()[name].eval()
    images = torch.randn(2, 3, 32, 32)
    exported = torch.export.export(model, (images,))
    launches = [str(node.target) for node in exported.graph.nodes if "dnw_graph" in str(node.target)]
    head = ["dnw_graph.message_passing.default"] if name == "small" else []
    assert launches == ["dnw_graph.stage.default"] * len(model.body.stages) + head
    torch.testing.assert_close(exported.module()(images), model(images))


def test_compiled_whole_it_trains_and_follows_each_rewiring():
    """One graph without a break, also after the wiring changed."""
    torch.compiler.reset()
    model = small_networks()["tiny"].train()
    weight = model.body.stages[0].weight
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    images = torch.randn(4, 3, 32, 32)
    for step in range(2):
        expected = model(images)
        (by_hand,) = torch.autograd.grad(expected.square().sum(), [weight])
        got = compiled(images)
        torch.testing.assert_close(got, expected)
        (traced,) = torch.autograd.grad(got.square().sum(), [weight])
        torch.testing.assert_close(traced, by_hand)
        with torch.no_grad():
            weight.uniform_(-0.5, 0.5)
        assert model.rewire(step) > 0
    torch.compiler.reset()
