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
from dnw_graph.analysis.wiring import Wiring, wiring_from_graph, wiring_from_ids
from dnw_graph.config import load_config
from dnw_graph.data.preprocessing import describe, fit_images, fitting, normalise
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.facts import Facts
from dnw_graph.models.lower import lower
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.registry import build_model
from dnw_graph.models.tiny_dynamic import tiny_continuous_time, tiny_discrete_time
from dnw_graph.program.reference import evaluate, lacks, states_of
from dnw_graph.program.status import node_status
from dnw_graph.view.content import content_of
from dnw_graph.view.page import html_of

NETWORKS = Path(__file__).parents[1] / "networks.py"
EPOCHS = (0, 1, 5)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    expected = {name: written(name, model, folder) for name, model in models().items()}
    (folder / "expected.json").write_text(json.dumps(expected))
    for name, pixels in pictures().items():
        Image.fromarray(pixels).save(folder / f"{name}.png")


def pictures() -> dict[str, Any]:
    """Pictures for two of the pages: one that is scaled, one that is padded."""
    random = np.random.default_rng(0)
    return {
        "tiny": random.integers(0, 256, (40, 60, 3), dtype=np.uint8),
        "discrete": random.integers(0, 256, (28, 28, 3), dtype=np.uint8),
    }


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
    shape = (28, 28, side, "pad", name) if name == "discrete" else (40, 60, side, "resize", name)
    preprocessing = describe(side, [0.5, 0.4, 0.3], [0.25, 0.2, 0.3], **fitting(*shape))
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
    if model.layout.evaluations is None:
        facts |= {"strongest": strongest(wiring), "strong": status_of_strong(wiring)}
    if name in pictures():
        seen = torch.from_numpy(pictures()[name]).permute(2, 0, 1)[None]
        fitted = normalise(fit_images(seen, preprocessing), preprocessing["mean"], preprocessing["std"])
        facts["picture"] = fitted.ravel().tolist()
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


SHARE = 0.6
"""Of the edges that the threshold of drive.mjs leaves out."""


def status_of_strong(wiring: Wiring) -> list[int]:
    """Status of each node without the weakest edges."""
    assert wiring.weight is not None
    size = np.abs(wiring.weight.astype(np.float32))
    strong = size >= np.sort(size)[int(SHARE * len(size))]
    return node_status(wiring.layout, wiring.source[strong], wiring.target[strong], wiring.read).tolist()


def strongest(wiring: Wiring) -> list[float]:
    """Per node, the largest product of |weights| along a path from the stem to the classifier through it."""
    assert wiring.weight is not None
    layout, size = wiring.layout, np.abs(wiring.weight.astype(np.float32)).astype(float)
    carry, last = layout.carried_from(), layout.levels[-1].first
    up, down = np.zeros(wiring.num_nodes), np.zeros(wiring.num_nodes)
    up[: layout.levels[0].end] = 1
    down[last:] = wiring.read
    for edge in np.argsort(wiring.target, kind="stable"):
        source, target = wiring.source[edge], wiring.target[edge]
        start = up[carry[target]] if carry[target] >= 0 else 0
        up[target] = max(up[target], start, up[source] * size[edge])
    for node in np.flatnonzero(carry >= 0):
        up[node] = max(up[node], up[carry[node]])
        down[carry[node]] = down[node]
    for edge in np.argsort(-wiring.source, kind="stable"):
        source, target = wiring.source[edge], wiring.target[edge]
        down[source] = max(down[source], down[target] * size[edge])
    return (up * down).tolist()


def ends_of(past: StoredWirings, ids: Any) -> list[list[int]]:
    """The edges of an epoch, as sorted pairs of nodes."""
    wiring = wiring_from_ids(past.layout, ids)
    return sorted(map(list, zip(wiring.source.tolist(), wiring.target.tolist(), strict=True)))


def past_of_random(wiring: Wiring) -> StoredWirings:
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
