"""What runs on a GPU when nobody says: never what was measured slower than masked dense. No GPU is needed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.message_passing import auto_on_cuda, choose_backend, dgl, usable_backend
from dnw_graph.message_passing import backend as registry

GPU = torch.device("cuda")


@pytest.fixture
def measured(monkeypatch):
    monkeypatch.setattr(auto_on_cuda, "_name", lambda device: "Some GPU")
    monkeypatch.setattr(auto_on_cuda, "MEASURED", {"Some GPU": {torch.float32: 0.1}})
    monkeypatch.setattr(registry._BACKENDS["triton"], "_reason", None)


@pytest.mark.parametrize(
    ("dtype", "edges", "name"),
    [
        (torch.float32, 99, "triton"),
        (torch.float32, 100, "dense"),
        (torch.bfloat16, 1, "dense"),
    ],
)
def test_auto_is_what_was_measured_faster(measured, dtype, edges, name):
    assert choose_backend(GPU, dtype, edges, 1000) == name


def test_auto_is_dense_on_a_gpu_that_nobody_measured(measured, monkeypatch):
    monkeypatch.setattr(auto_on_cuda, "MEASURED", {})
    assert choose_backend(GPU, torch.float32, 1, 10**6) == "dense"


def test_auto_is_dense_where_triton_is_missing(measured, monkeypatch):
    monkeypatch.setattr(registry._BACKENDS["triton"], "_reason", "triton is not installed")
    assert choose_backend(GPU, torch.float32, 1, 1000) == "dense"


def test_a_stage_without_candidates_is_no_division_by_zero(measured):
    assert choose_backend(GPU, torch.float32, 0, 0) in ("dense", "triton")


class FakeDgl(SimpleNamespace):
    """A DGL whose graphs cannot, or can, move to the device."""

    DGLError = type("DGLError", (Exception,), {})
    __version__ = "1.1.3"

    def create_block(self, *ends, **sizes):
        return self

    def to(self, device):
        if self.fails:
            raise self.DGLError("Device API cuda is not enabled")
        return self


@pytest.mark.parametrize(("fails", "answer"), [(True, 1.0), (False, 0.0), (False, 1.0)])
def test_dgl_on_a_gpu_is_tried_not_assumed(monkeypatch, fails, answer):
    ones = torch.ones(1, 1)
    monkeypatch.setattr(dgl, "load_dgl", lambda: FakeDgl(fails=fails))
    monkeypatch.setattr(dgl, "_sum_of_messages", lambda flow, h, value: answer * ones)
    monkeypatch.setattr(torch, "ones", lambda *size, **options: ones)
    dgl._refused_on_cuda.cache_clear()
    try:
        if fails or answer != 1:
            with pytest.raises(
                InputError, match=r"DGL 1\.1\.3 passes no torch\.float32 messages on CUDA; use"
            ):
                usable_backend("dgl", GPU, torch.float32)
        else:
            assert usable_backend("dgl", GPU, torch.float32).name == "dgl"
    finally:
        dgl._refused_on_cuda.cache_clear()
