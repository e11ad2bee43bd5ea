"""A captured network: what surrounds the graph, with a stand-in that computes anew; on a GPU the real one."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.inference.cuda_graph import CapturedNetwork, capture
from dnw_graph.models.mobilenet_v1 import mobilenet_v1

HAS_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if HAS_GPU else "cpu")


@contextmanager
def nothing(*_):
    yield


@pytest.fixture
def compiled():
    torch.manual_seed(0)
    model = mobilenet_v1(
        rule="top_k", num_classes=3, image_size=8, density=0.5, blocks=((2, 4, 1, 2), (4, 6, 2, 1))
    )
    return dg.compile(model.to(DEVICE), backend="dense")


@pytest.fixture
def captured(compiled, monkeypatch):
    """The network, captured for two images of 8×8."""
    if HAS_GPU:
        return capture(compiled, torch.empty(2, 3, 8, 8, device=DEVICE))
    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: stream)
    monkeypatch.setattr(torch.cuda, "stream", nothing)
    monkeypatch.setattr(torch.cuda, "graph", nothing)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", SimpleNamespace)
    network = CapturedNetwork(compiled, torch.empty(2, 3, 8, 8))
    network._graph.replay = lambda: network._logits.copy_(compiled(network._images))
    return network


def images(seed):
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def test_it_gives_the_logits_and_the_count_of_the_network(captured, compiled):
    logits, executed = captured.run(images(1))
    expected, count = compiled.run(images(1))
    torch.testing.assert_close(logits, expected)
    assert executed.macs == count.macs > 0


def test_later_calls_leave_earlier_logits_alone(captured, compiled):
    first, second = captured(images(1)), captured(images(2))
    torch.testing.assert_close(first, compiled(images(1)))
    torch.testing.assert_close(second, compiled(images(2)))


def test_images_of_another_shape_are_refused(captured):
    with pytest.raises(InputError, match=r"captured for torch\.float32 \[2, 3, 8, 8\]; capture it for these"):
        captured(torch.zeros(1, 3, 8, 8, device=DEVICE))


def test_a_cpu_is_refused(compiled):
    with pytest.raises(InputError, match="images are on cpu, and CUDA graphs run on CUDA devices"):
        capture(compiled, torch.zeros(1, 3, 8, 8))
