"""The plain evaluator, as a module, and small networks to build."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def evaluator(load_module) -> ModuleType:
    return load_module(HERE / "evaluator.py")


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
