"""Files of small networks, and random programs."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
import torch

from dnw_graph.inference.document import document_of
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_dynamic import tiny_discrete_time
from dnw_graph.runtime.document import Document

DISCRETE = {"nodes": 9, "inputs": 4, "readout": 5, "stem_channels": 2, "times": 3, "density": 0.3}


@pytest.fixture(scope="session")
def programs(load_module) -> ModuleType:
    return load_module(Path(__file__).parents[1] / "program" / "programs.py")


@pytest.fixture(scope="session")
def models(networks: ModuleType) -> dict[str, WiredNetwork]:
    """One network of each kind that the engine runs: float32, with constant nodes."""
    made = {
        "mobilenet": networks.mobilenet(),
        "small": networks.mobilenet(small=True),
        "tiny": networks.tiny(),
        "discrete": tiny_discrete_time(rule="random", num_classes=3, **DISCRETE),
    }
    generator = torch.Generator().manual_seed(1)
    return {name: networks.shaken(model, generator).float() for name, model in made.items()}


@pytest.fixture(scope="session")
def documents(models: dict[str, WiredNetwork]) -> dict[str, Document]:
    return {name: document_of(model, {"from": name}) for name, model in models.items()}
