"""The GraphML alone says what the body computes: an XML parser and the plain evaluator give the logits."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.models.network import WiredNetwork

Networks = Callable[..., WiredNetwork]
SPACE = {"g": "http://graphml.graphdrawing.org/xmlns"}
TYPES = {"long": int, "float": float, "double": float, "string": str}


def wiring_in(path: Path) -> SimpleNamespace:
    """Arrays of nodes and edges, with nothing of ours in between; nodes are renumbered from 0 on."""
    root = ET.parse(path).getroot()
    types = {key.get("id"): TYPES[key.get("attr.type", "")] for key in root.findall("g:key", SPACE)}

    def data(element: ET.Element) -> dict[str, object]:
        return {each.get("key"): types[each.get("key")](each.text) for each in element}

    nodes = {int(node.get("id", "")): data(node) for node in root.findall("g:graph/g:node", SPACE)}
    edges = root.findall("g:graph/g:edge", SPACE)
    row = {number: position for position, number in enumerate(nodes)}
    columns = {
        name: np.array([node.get(name, np.nan) for node in nodes.values()])
        for name in ("level", "channel", "stage", "stride", "norm", "scale", "shift", "eps")
    }
    columns["carry"] = np.array([row.get(node["carry"], -1) for node in nodes.values()])
    columns["kernel"] = np.array(
        [np.array(node.get("kernel", "nan " * 9).split(), float).reshape(3, 3) for node in nodes.values()]
    )
    ends = {end: np.array([row[int(edge.get(end, ""))] for edge in edges]) for end in ("source", "target")}
    weight = np.array([data(edge)["weight"] for edge in edges])
    return SimpleNamespace(nodes=columns, edges={**ends, "weight": weight}, num_nodes=len(nodes))


@pytest.mark.parametrize("without_dead", [False, True])
@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
def test_graphml_gives_the_logits(
    network: str, without_dead: bool, wired: Networks, evaluator: ModuleType, tmp_path: Path
) -> None:
    sparse = {"density": 0.2} if network == "mobilenet_v1" else {"edges": 25}
    model = wired(network, seed=6, **sparse)
    dg.save_graph(model, tmp_path / "w.graphml", without_dead=without_dead)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    wiring = wiring_in(tmp_path / "w.graphml")
    assert (wiring.num_nodes < model.layout.num_nodes) is without_dead
    found = evaluator.logits(model, wiring, images)
    with torch.no_grad():
        wanted = model(images).numpy()
    assert np.abs(found - wanted).max() / np.abs(wanted).max() < 1e-6
