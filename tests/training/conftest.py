"""A small wired network and a small recipe on real digits, fast enough for every test."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from dnw_graph.commands.main import main
from dnw_graph.config import Config, config_from_dict, dump_config
from dnw_graph.config.networks import NETWORKS

SCRIPT = Path(__file__).with_name("small_network.py")

RECIPE = {
    "model": {"network": "tiny_static", "edges": 90, "image_size": 32, "num_classes": 10},
    # Two images of each digit choose the best checkpoint: 1,417 are left, 22 batches of 64.
    "data": {"dataset": "digits", "validation": 0.015},
    "optimizer": {"lr": 0.1},
    "training": {"epochs": 2, "batch_size": 64, "threads": 1, "device": "cpu"},
    "logging": {"every_steps": 10, "tensorboard": False},
}


@pytest.fixture(scope="session")
def small_network(load_module) -> ModuleType:
    """The script that runs commands with the small network, as a module."""
    return load_module(SCRIPT)


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch, small_network: ModuleType) -> None:
    monkeypatch.setitem(NETWORKS.entries, "tiny_static", small_network.ENTRY)
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def train_small(small_network: ModuleType):
    """train_small(path, "training.epochs=3", …) → path of a finished run, for tests that share one."""

    def run(path: Path, *overrides: str) -> Path:
        from dnw_graph.training import train

        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(NETWORKS.entries, "tiny_static", small_network.ENTRY)
            train(config_from_dict(RECIPE, overrides), path)
        return path

    return run


@pytest.fixture
def recipe():
    """recipe("optimizer.lr=0.5", …) → a Config of the small recipe."""

    def make(*overrides: str) -> Config:
        return config_from_dict(RECIPE, overrides)

    return make


@pytest.fixture
def config_file(tmp_path, recipe):
    """config_file("optimizer.lr=0.5", …) → path of a YAML file of the small recipe."""

    def write(*overrides: str, name: str = "small.yaml") -> Path:
        path = tmp_path / name
        dump_config(recipe(*overrides), path)
        return path

    return write


@pytest.fixture
def command(capsys):
    """command("train", "--config", …) → (exit code, stdout, stderr)."""

    def run(*arguments: Any) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def records():
    """records(run) → the lines of metrics.jsonl; records(run, "epoch") → those of one kind."""

    def read(run: Path, kind: str | None = None) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        return [line for line in lines if kind in (None, line["kind"])]

    return read
