"""`to_networkx`: the same graph as in the files, in plain Python values."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networkx
import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.dense_baselines import MobileNetV1
from dnw_graph.models.facts import Facts
from dnw_graph.models.network import WiredNetwork

Networks = Callable[..., WiredNetwork]


def test_nine_nodes_as_plain_values(nine_nodes: WiredNetwork) -> None:
    nine_nodes.facts = Facts(class_names=["cat", "dog"])
    graph = dg.to_networkx(nine_nodes)
    assert isinstance(graph, networkx.DiGraph)
    assert networkx.is_directed_acyclic_graph(graph)
    assert list(graph) == list(range(9))
    assert graph.edges[5, 7] == {"weight": -2.0, "id": 3}
    third = graph.nodes[3]
    assert third["kernel"] == (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    assert (third["level"], third["status"], third["shift"]) == (1, "constant", 1.0)
    assert {type(value) for value in third.values()} == {int, str, float, tuple}
    assert {"scale", "shift", "eps", "kernel"}.isdisjoint(graph.nodes[8])
    assert graph.graph == {
        "format_version": 1,
        "network": "mobilenet_v1",
        "rule": "top_k",
        "node_operation": "norm,relu,conv3x3",
        "input_resolution": 8,
        "class_names": ["cat", "dog"],
    }


def test_loaded_graph_gives_the_same(wired: Networks, tmp_path: Path) -> None:
    model = wired("tiny_static", seed=5)
    dg.save_graph(model, tmp_path / "w.graphml")
    direct, loaded = dg.to_networkx(model), dg.to_networkx(dg.load_graph(tmp_path / "w.graphml"))
    assert loaded.graph == direct.graph
    assert dict(loaded.nodes(data=True)) == dict(direct.nodes(data=True))
    assert {ends: loaded.edges[ends] for ends in loaded.edges} == {
        ends: direct.edges[ends] for ends in direct.edges
    }


def test_what_is_no_wiring_is_refused(nine_nodes: WiredNetwork) -> None:
    with pytest.raises(InputError, match="MobileNetV1 is a dense network and has no wiring"):
        dg.to_networkx(MobileNetV1(0.25, 10, 32))
    graph = graph_of(nine_nodes)
    graph.edges["weight"][2] = torch.nan
    with pytest.raises(InputError, match="the graph: weight of edge 2 is nan"):
        dg.to_networkx(graph)
