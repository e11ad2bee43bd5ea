"""A small network, trained for an epoch on real digits: for tests of what is done with a run."""

from __future__ import annotations

from pathlib import Path

from dnw_graph.config import Config, config_from_dict
from dnw_graph.training.loop import train


def small_config(*overrides: str, **model: object) -> Config:
    """Digits, and a tiny network that learns something of them in an epoch of some seconds."""
    network = {"network": "tiny_static", "edges": 120, "options": {"groups": [4, 8, 8], "readout": 4}}
    sections = {
        "model": {**(model or network), "image_size": 32, "num_classes": 10},
        "data": {"dataset": "digits"},
        "training": {"epochs": 1, "batch_size": 64, "threads": 1, "device": "cpu"},
        "logging": {"tensorboard": False},
    }
    return config_from_dict(sections, overrides)


def train_small_run(place: Path, *overrides: str, **model: object) -> Path:
    """A finished run in `place`."""
    train(small_config(*overrides, **model), place)
    return place
