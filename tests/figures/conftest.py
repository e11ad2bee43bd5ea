"""Subjects to draw: nine nodes by hand, and a run of a small network that was rewired between epochs."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.text import Text

from dnw_graph.config import config_from_dict
from dnw_graph.config.networks import NETWORKS
from dnw_graph.figures.subject import Subject, read_subject, subject_of
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.portable.graph import Graph
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.training.adopt import adopt


@pytest.fixture
def graph(nine_nodes: WiredNetwork) -> Graph:
    return graph_of(nine_nodes)


@pytest.fixture
def subject(graph: Graph) -> Subject:
    return subject_of(graph)


@pytest.fixture
def empty(graph: Graph) -> Subject:
    """Nine nodes without an edge."""
    graph.edges = {name: values[:0] for name, values in graph.edges.items()}
    graph.nodes["status"][:] = "dead"
    return subject_of(graph)


SMALL = {
    "model": {"network": "mobilenet_v1", "density": 0.1, "image_size": 32, "num_classes": 10},
    "data": {"dataset": "digits"},
    "training": {"epochs": 3, "batch_size": 64},
}


@pytest.fixture
def make_run(monkeypatch: pytest.MonkeyPatch):
    """make_run(path, seed=0, epochs=3, rule="top_k") → a run as training leaves it, but quickly made.

    Levels of 4 | 6, 6 | 8, 8, 8 nodes; its wiring changes between epochs by the drawing of other weights.
    """
    from dnw_graph.models import registry

    blocks = ((4, 6, 1, 2), (6, 8, 2, 3))
    small = replace(NETWORKS.get("mobilenet_v1"), build=partial(mobilenet_v1, blocks=blocks))
    monkeypatch.setitem(NETWORKS.entries, "mobilenet_v1", small)

    def make(path: Path, *, seed: int = 0, epochs: int = 3, rule: str = "top_k") -> Path:
        cfg = config_from_dict(SMALL, [f"training.seed={seed}", f"model.rule={rule}"])
        model = registry.build_model(cfg)
        adopt(cfg, model, path)
        run, records = RunDirectory(path), []
        for epoch in range(1, epochs + 1):
            with torch.no_grad():
                for _, stage in model.wired_stages():
                    stage.weight.copy_(stage.weight.roll(epoch))
            swaps = model.rewire(epoch)
            run.save_wiring(epoch, model.wirings())
            entries = {"epoch": epoch, "swaps": swaps}
            records.append({"kind": "step", "step": 10 * epoch - 4, **entries, "swaps": swaps // 2})
            records.append({"kind": "epoch", "step": 10 * epoch, **entries, "test_top1": epoch / 4})
        run.metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return make


@pytest.fixture
def run(tmp_path: Path, make_run: Any) -> Path:
    """A run of three epochs, each with another wiring."""
    return make_run(tmp_path / "run")


@pytest.fixture
def run_subject(run: Path) -> Subject:
    return read_subject(run)


@pytest.fixture
def texts():
    """texts(figure) → everything that is written in it, a line each."""

    def read(figure: Any) -> str:
        found = [text.get_text() for text in figure.findobj(lambda each: isinstance(each, Text))]
        return "\n".join(line for line in found if line)

    return read
