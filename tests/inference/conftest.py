"""The plain evaluator and the networks, as modules, and small networks to build."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"inference_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def evaluator() -> ModuleType:
    return load("evaluator")


@pytest.fixture(scope="session")
def networks() -> ModuleType:
    return load("networks")


@pytest.fixture(params=["dgl", "csr", "dense"])
def backend(request) -> str:
    return request.param


@pytest.fixture(params=["normal", "small", "tiny"])
def build(request, networks):
    """build() → a small network in eval mode: MobileNetV1-like, the same with a wired classifier, or tiny."""
    return {
        "normal": networks.mobilenet,
        "small": partial(networks.mobilenet, small=True),
        "tiny": networks.tiny,
    }[request.param]
