"""Writes the pages that drive.mjs opens, and expected.json: what Python knows of each. Argument: a folder."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from dnw_graph.analysis.paths import paths_of
from dnw_graph.analysis.stored import StoredWirings
from dnw_graph.analysis.wiring import wiring_from_graph, wiring_from_ids
from dnw_graph.config import load_config
from dnw_graph.data.preprocessing import describe
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.facts import Facts
from dnw_graph.models.lower import lower
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.registry import build_model
from dnw_graph.models.tiny_dynamic import tiny_continuous_time, tiny_discrete_time
from dnw_graph.program.reference import evaluate, lacks, states_of
from dnw_graph.view.content import content_of
from dnw_graph.view.page import html_of

NETWORKS = Path(__file__).parents[1] / "networks.py"
EPOCHS = (0, 1, 5)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    expected = {name: written(name, model, folder) for name, model in models().items()}
    (folder / "expected.json").write_text(json.dumps(expected))
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noise.png")


def models() -> dict[str, WiredNetwork]:
    spec = importlib.util.spec_from_file_location("networks", NETWORKS)
    assert spec is not None
    assert spec.loader is not None
    networks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(networks)
    made = {
        "tiny": networks.tiny(groups=(8, 24, 24, 24), readout=10, stem_channels=6, edges=420, num_classes=10),
        "small": networks.mobilenet(small=True, image_size=13),
        "discrete": tiny_discrete_time(
            rule="random", num_classes=4, density=0.1, nodes=12, inputs=5, readout=6, stem_channels=3, times=3
        ),
        "continuous": tiny_continuous_time(
            rule="random", num_classes=4, density=0.1, nodes=12, inputs=5, readout=6, stem_channels=3
        ),
        "mobile32": mobilenet_v1(rule="random", num_classes=10, image_size=32, density=0.05),
    }
    shaken = {
        name: networks.shaken(model.eval(), torch.Generator().manual_seed(at)).float()
        for at, (name, model) in enumerate(made.items())
    }
    imagenet = build_model(load_config("configs/imagenet/dnw_x0.225.yaml")).eval()
    assert isinstance(imagenet, WiredNetwork)
    return {**shaken, "imagenet": imagenet}


def written(name: str, model: WiredNetwork, folder: Path) -> dict[str, Any]:
    side = model.image_size
    preprocessing = describe(side, [0.5, 0.4, 0.3], [0.25, 0.2, 0.3], resize={"size": [side, side]})
    names = [f'class <{each}> & "co"' for each in range(model.num_classes)]
    model.facts = Facts(class_names=names, preprocessing=preprocessing)
    graph, program = graph_of(model), lower(model)
    wiring = wiring_from_graph(graph)
    past = past_of_random(wiring) if name == "tiny" else None
    content = content_of(graph, name, program=program, past=past)
    (folder / f"{name}.html").write_text(html_of(content), encoding="utf-8")
    facts: dict[str, Any] = {
        "nodes": wiring.num_nodes,
        "edges": wiring.num_edges,
        "status": wiring.status.tolist(),
        "paths": float(paths_of(wiring).total),
        "through": [float(each) for each in paths_of(wiring).through],
        "past": [] if past is None else [ends_of(past, ids) for ids in past.ids],
        "runs": lacks(program) is None,
    }
    if facts["runs"] and name != "imagenet":
        images = np.random.default_rng(1).normal(size=(1, 3, side, side)).astype(np.float32)
        states = states_of(program, images)
        facts |= {
            "image": images.ravel().tolist(),
            "logits": evaluate(program, images).ravel().tolist(),
            "states": {
                state: [float(each) for each in np.abs(values).mean(axis=(1, 2, 3))]
                for state, values in states.items()
                if state.startswith(("z", "h")) and name != "discrete"
            },
        }
    return facts


def ends_of(past: StoredWirings, ids: Any) -> list[list[int]]:
    """The edges of an epoch, as sorted pairs of nodes."""
    wiring = wiring_from_ids(past.layout, ids)
    return sorted(map(list, zip(wiring.source.tolist(), wiring.target.tolist(), strict=True)))


def past_of_random(wiring: Any) -> StoredWirings:
    """Wirings of which the last is near that of now."""
    random = np.random.default_rng(2)
    ids = []
    for share in (0.0, 0.5, 0.9):
        each = []
        for stage in wiring.layout.stages:
            now = wiring.ids_of(stage.index)
            kept = now[random.random(len(now)) < share]
            others = np.setdiff1d(np.arange(stage.num_candidates), now)
            more = random.choice(others, len(now) - len(kept), replace=False)
            each.append(np.sort(np.concatenate([kept, more])))
        ids.append(tuple(each))
    return StoredWirings(wiring.layout, EPOCHS, tuple(ids))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
