"""Backends that work by the index of a whole stage, as on a GPU, where the host knows no block's edges."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.schedule import Schedule
from dnw_graph.message_passing import find_backend, recording, stage_operator
from dnw_graph.message_passing.dense import Dense
from dnw_graph.message_passing.stage_index import StageIndices
from dnw_graph.message_passing.stage_pass import image_parts
from dnw_graph.message_passing.stage_spec import StageSpec
from dnw_graph.models import whole_stage
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static


def chain():
    blocks = ((3, 5, 1, 1), (5, 6, 2, 3), (6, 7, 2, 1))
    options = {"num_classes": 3, "image_size": 32, "density": 0.4, "backend": "dense"}
    return mobilenet_v1(rule="top_k", blocks=blocks, **options)


def tiny():
    groups = {"groups": (3, 5, 6), "readout": 4, "stem_channels": 2}
    return tiny_static(rule="top_k", num_classes=3, edges=40, backend="dense", **groups)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """as_on_a_gpu(): from now on `dense` gets the index of the whole stage; → how often it did."""

    def begin():
        seen = []
        monkeypatch.setattr(Dense, "slices", lambda self, device: True)
        send = Dense.send

        def look(self, index, *args, **options):
            seen.append(index.sliced)
            return send(self, index, *args, **options)

        monkeypatch.setattr(Dense, "send", look)
        return seen

    return begin


def spec():
    schedule = Schedule((32, 192, 192), (384, 192))
    return StageSpec(schedule, NodeSpec("instance"), False, "candidates", 4, 1.0, "dense")


def step(model):
    model.zero_grad(set_to_none=True)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    with recording(4) as executed, FlopCounterMode(display=False) as counter:
        logits = model(images)
        F.cross_entropy(logits, torch.arange(4) % 3).backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    return {"logits": logits.detach(), **gradients}, executed.total, counter.get_total_flops()


@pytest.mark.parametrize("make", [chain, tiny])
def test_dense_is_the_same_by_stage_as_by_block(make, as_on_a_gpu):
    torch.manual_seed(0)
    model = make()
    expected, macs, flops = step(model)
    seen = as_on_a_gpu()
    found, macs_by_stage, flops_by_stage = step(model)
    # A stage of one block has nothing to slice.
    assert {each is not None for each in seen} == ({True, False} if make is chain else {True})
    assert (macs_by_stage, flops_by_stage) == (macs, flops)
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-5, msg=name)


def test_new_values_are_new_matrices(as_on_a_gpu):
    """Masked weights are kept as long as the values live, and no longer."""
    as_on_a_gpu()
    model = tiny().eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        first = model(images)
        model.body.stages[0].weight.mul_(2)
        assert not torch.equal(model(images), first)
        model.body.stages[0].weight.div_(2)
        assert torch.equal(model(images), first)
    with torch.inference_mode():
        torch.testing.assert_close(model(images), first)


def test_only_on_a_gpu_dense_asks_for_the_whole_stage():
    dense = find_backend("dense")
    assert dense.slices(torch.device("cuda"))
    assert not dense.slices(torch.device("cpu"))
    stage = chain().body_stages()[1]
    assert len(whole_stage._indices(stage, spec(), 4)) == 3


@pytest.mark.parametrize(
    ("change", "whole"),
    [({}, True), ({"reach": "selected"}, False), ({"images": 3}, False), ({"factor": 2.0}, False)],
)
def test_only_the_whole_gradient_to_all_candidates_can_do_without_blocks(change, whole):
    assert replace(spec(), **change).takes_whole_index(4) == whole


@pytest.mark.parametrize("number", [0, 1])
def test_blocks_found_without_waiting_are_those_found_at_once(number):
    stage = chain().body_stages()[number]
    indices = StageIndices(stage.stage.blocks)
    indices.update(stage.selected, may_wait=False)
    # The one block of a stage is known from shapes alone.
    assert (indices._cuts is None) == (len(stage.stage.blocks) == 1)
    for one, other in zip(indices.blocks(), stage.indices(), strict=True):
        assert torch.equal(one.pointer, other.pointer)
        assert torch.equal(one.source, other.source)
        assert torch.equal(one.position, other.position)


def test_a_gpu_takes_a_batch_at_once():
    assert len(image_parts(512, 1 << 20, spec(), torch.device("cpu"))) > 1
    assert image_parts(512, 1 << 20, spec(), torch.device("cuda")) == [slice(0, 512)]
    z = torch.empty(3, 512, 8, 8, device="meta")
    assert len(stage_operator._parts(z, spec(), 64)) == 1


def test_statistics_of_the_batch_need_all_images_at_once():
    of_batch = replace(spec(), node=NodeSpec("batch"))
    assert image_parts(512, 1 << 20, of_batch, torch.device("cpu")) == [slice(0, 512)]
    assert len(image_parts(512, 1 << 20, replace(of_batch, fixed=True), torch.device("cpu"))) > 1
