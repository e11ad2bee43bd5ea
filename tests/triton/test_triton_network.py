"""Whole networks whose messages pass by Triton, on the ordinary path; interpreted where there is no GPU."""

from __future__ import annotations

import copy

import pytest
import torch

import dnw_graph as dg
from dnw_graph.message_passing import stage_operator
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.program import layers
from dnw_graph.triton import availability

REASON = availability.reason()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def mobilenet():
    blocks = ((2, 3, 2, 2), (3, 4, 2, 1))
    return mobilenet_v1(rule="top_k", num_classes=3, image_size=8, density=0.4, blocks=blocks).to(DEVICE)


def tiny():
    """A readout that starts from its twins, in a network whose maps are 8×8."""
    sizes = {"groups": (2, 3), "readout": 2, "stem_channels": 2}
    return tiny_static(rule="top_k", num_classes=3, edges=8, **sizes).to(DEVICE)


def images(model):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(2, 3, model.image_size, model.image_size, generator=generator).to(DEVICE)


def trained(model, backend, passing_by, steps):
    """Logits of each step, and the weights after them."""
    model = passing_by(backend, copy.deepcopy(model)).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    logits = []
    for step in range(steps):
        optimizer.zero_grad()
        logits.append(model(images(model)))
        torch.nn.functional.cross_entropy(logits[-1], torch.tensor([0, 2], device=DEVICE)).backward()
        optimizer.step()
        model.rewire(step)
    return torch.stack(logits).detach(), dict(model.named_parameters())


@pytest.mark.parametrize("make", [mobilenet, tiny])
def test_training_is_that_of_dense_rewiring_included(make, passing_by):
    model = make()
    logits, weights = trained(model, "triton", passing_by, 2)
    expected, expected_weights = trained(model, "dense", passing_by, 2)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected_weights[name], rtol=1e-3, atol=1e-4, msg=name)


def test_a_compiled_network_counts_what_it_runs():
    model = mobilenet().eval()
    net = dg.compile(model, backend="triton")
    logits, executed = net.run(images(model))
    torch.testing.assert_close(logits, model(images(model)), rtol=1e-4, atol=1e-5)
    assert executed.macs == dg.count(model).macs


@pytest.mark.parametrize("make", [mobilenet, tiny])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_compiled_network_may_run_its_node_operations_in_one_pass(make, dtype, monkeypatch):
    """As on a GPU, where under autocast features are half floats and what was folded is not."""
    from dnw_graph.node_operation.triton import TritonNodeKernels

    model = make().eval()
    net, used = dg.compile(model, backend="triton"), []
    macs = net.run(images(model))[1].macs
    monkeypatch.setattr(layers, "fused", lambda spec, z: used.append(z.dtype) or TritonNodeKernels())
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        logits, executed = net.run(images(model))
    assert set(used) == {dtype}
    assert executed.macs == macs
    tolerance = 1e-4 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(logits.float(), model(images(model)), rtol=tolerance, atol=tolerance)


def test_under_autocast_features_are_bfloat16(passing_by):
    model = mobilenet().eval()
    with torch.autocast(DEVICE.type, dtype=torch.bfloat16), torch.no_grad():
        logits = passing_by("triton", model)(images(model))
        expected = passing_by("dense", model)(images(model))
    torch.testing.assert_close(logits.float(), expected.float(), rtol=0.1, atol=0.05)


def test_the_node_operations_of_a_stage_may_be_ours_too(passing_by, monkeypatch):
    """As on a GPU: both kinds of kernels under the operator that runs a stage."""
    from dnw_graph.node_operation.triton import TritonNodeKernels

    used = []
    monkeypatch.setattr(
        stage_operator, "node_kernels", lambda device, dtype, spec: used.append(dtype) or TritonNodeKernels()
    )
    model = tiny()
    logits, weights = trained(model, "triton", passing_by, 1)
    assert used
    monkeypatch.undo()
    expected, expected_weights = trained(model, "dense", passing_by, 1)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected_weights[name], rtol=1e-3, atol=1e-4, msg=name)
