"""When the backend `triton` refuses, and what it says."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.message_passing import backend as registry
from dnw_graph.message_passing import choose_backend, find_backend, usable_backend
from dnw_graph.message_passing.triton import Triton
from dnw_graph.triton import availability

CPU = torch.device("cpu")
HAS_TRITON = importlib.util.find_spec("triton") is not None


@pytest.fixture
def without_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)


def test_missing_triton_is_said_with_its_fix(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "triton is not installed; run `pip install triton`" in str(Triton().reason())
    monkeypatch.setitem(registry._BACKENDS, "triton", Triton())
    with pytest.raises(InputError, match="backend 'triton' cannot be used here: triton is not installed"):
        find_backend("triton")


def test_without_a_gpu_it_says_so_and_names_the_interpreter(without_gpu, monkeypatch):
    assert "torch finds no CUDA device; use backend native, csr or dense" in str(availability.reason())
    assert "TRITON_INTERPRET=1" in str(availability.reason())
    assert "run on CUDA devices" in str(availability.refusal(CPU, torch.float32))
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert availability.reason() is None
    assert availability.refusal(CPU, torch.float32) is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32])
def test_other_numbers_are_refused(monkeypatch, dtype):
    monkeypatch.setitem(registry._BACKENDS, "triton", Triton())
    monkeypatch.setattr(registry._BACKENDS["triton"], "_reason", None)
    with pytest.raises(InputError, match="know float32, bfloat16 and float16; use backend csr or dense"):
        usable_backend("triton", torch.device("cuda"), dtype)


def test_auto_never_means_the_interpreter(monkeypatch):
    monkeypatch.setattr(registry._BACKENDS["triton"], "_reason", None)
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose_backend(CPU, torch.float32, 1, 1000) != "triton"


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed")
def test_importing_the_package_imports_no_triton():
    code = "import sys, dnw_graph; sys.exit('triton' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_importing_the_backend_imports_no_kernels():
    code = "import sys, dnw_graph.message_passing; sys.exit('dnw_graph.triton.messages' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
