"""Backends that work by the index of a whole stage, as on a GPU, where the host knows no block's edges."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from dnw_graph.message_passing import find_backend, recording, stage_operator
from dnw_graph.message_passing.dense import Dense
from dnw_graph.message_passing.stage_index import StageIndices
from dnw_graph.message_passing.stage_pass import image_parts
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
        monkeypatch.setattr(Dense, "by_stage", lambda self, device: True)
        of_block = Dense.accumulate_block
        monkeypatch.setattr(
            Dense,
            "accumulate_block",
            lambda self, *args, **options: seen.append(1) or of_block(self, *args, **options),
        )
        return seen

    return begin


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
    assert seen
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
    assert dense.by_stage(torch.device("cuda"))
    assert not dense.by_stage(torch.device("cpu"))
    stage = chain().body_stages()[1]
    assert len(whole_stage._index(stage, "dense", is_whole=True)[0]) == 3


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
    assert len(image_parts(512, 1 << 20, "instance", torch.device("cpu"))) > 1
    assert image_parts(512, 1 << 20, "instance", torch.device("cuda")) == [slice(0, 512)]
    z = torch.empty(3, 512, 8, 8, device="meta")
    assert len(stage_operator._parts(z, (32, 192, 192), 64, "fixed")) == 1
