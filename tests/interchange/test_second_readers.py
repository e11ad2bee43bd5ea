"""Each format, opened by a reader that is not ours, says what the nine nodes are."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import igraph
import networkx
import numpy as np
import pytest
from torch import nn

import dnw_graph as dg
from dnw_graph.dependencies import load_dgl
from dnw_graph.models.facts import Facts
from dnw_graph.models.network import WiredNetwork

EDGES = {
    (0, 2): (2, 0),
    (0, 4): (0.5, 4),
    (2, 4): (-1, 8),
    (3, 5): (3, 11),
    (4, 6): (1, 0),
    (5, 6): (2, 1),
    (5, 7): (-2, 3),
}
STATUS = ["live", "dead", "live", "constant", "live", "constant", "live", "constant", "constant"]
COPY = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0]
NODE_NAMES = {"level", "channel", "stage", "resolution", "stride", "status", "carry", "norm"}
OPERATION_NAMES = {"scale", "shift", "eps", "kernel"}


@pytest.fixture
def nine(nine_nodes: WiredNetwork) -> nn.Module:
    nine_nodes.facts = Facts(class_names=["<cat>", "dog & co"])
    return nine_nodes


def check(graph: networkx.DiGraph, kernel: Any) -> None:
    """Counts, types and values of a networkx graph whose nodes are ints; `kernel` as the format holds it."""
    assert graph.is_directed()
    assert {ends: (graph.edges[ends]["weight"], graph.edges[ends]["id"]) for ends in graph.edges} == EDGES
    assert [graph.nodes[node]["status"] for node in range(9)] == STATUS
    assert [graph.nodes[node]["level"] for node in range(9)] == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert graph.nodes[4]["stride"] == 2
    assert graph.nodes[8] == {
        "level": 3,
        "channel": 2,
        "stage": 1,
        "resolution": 4,
        "stride": 1,
        "status": "constant",
        "carry": -1,
        "norm": "none",
    }
    third = dict(graph.nodes[3])
    assert third.keys() == NODE_NAMES | OPERATION_NAMES
    assert third["kernel"] == kernel
    assert (third["norm"], third["shift"], third["eps"]) == ("batch", 1.0, 1e-5)
    assert third["scale"] == pytest.approx(1, rel=1e-7)
    types = {name: type(third[name]) for name in third if name != "kernel"}
    names = dict.fromkeys(("status", "norm"), str)
    assert types == dict.fromkeys(NODE_NAMES, int) | names | dict.fromkeys(("scale", "shift", "eps"), float)


def test_networkx_reads_graphml(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.graphml")
    graph = networkx.read_graphml(tmp_path / "w.graphml", node_type=int)
    check(graph, "0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0")
    assert graph.graph["network"] == "mobilenet_v1"
    assert graph.graph["rule"] == "top_k"
    assert graph.graph["node_operation"] == "norm,relu,conv3x3"
    assert (graph.graph["format_version"], graph.graph["input_resolution"]) == (1, 8)
    assert json.loads(graph.graph["class_names"]) == ["<cat>", "dog & co"]


def test_graphml_that_networkx_wrote_is_a_wiring_still(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / "w.graphml")
    networkx.write_graphml(networkx.read_graphml(tmp_path / "w.graphml"), tmp_path / "nx.graphml")
    mine, theirs = dg.load_graph(tmp_path / "w.graphml"), dg.load_graph(tmp_path / "nx.graphml")
    assert theirs.attributes == mine.attributes
    for name, values in mine.nodes.items():
        np.testing.assert_array_equal(theirs.nodes[name], values, err_msg=name)
    assert {*zip(*(edge.tolist() for edge in theirs.edges.values()), strict=True)} == {
        *zip(*(edge.tolist() for edge in mine.edges.values()), strict=True)
    }
    nine_nodes.load_graph(theirs)


def test_an_xml_parser_finds_typed_keys(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.graphml")
    root = ET.parse(tmp_path / "w.graphml").getroot()
    space = {"g": "http://graphml.graphdrawing.org/xmlns"}
    keys = {
        (key.get("for"), key.get("attr.name")): key.get("attr.type") for key in root.findall("g:key", space)
    }
    assert keys["node", "level"] == "long"
    assert keys["node", "status"] == keys["node", "kernel"] == keys["graph", "class_names"] == "string"
    assert (keys["node", "scale"], keys["edge", "weight"], keys["edge", "id"]) == ("double", "float", "long")
    assert keys["graph", "format_version"] == "long"
    assert {name for kind, name in keys if kind == "node"} == NODE_NAMES | OPERATION_NAMES
    assert len(root.findall("g:graph/g:node", space)) == 9
    assert len(root.findall("g:graph/g:edge", space)) == 7


def test_igraph_reads_graphml(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.graphml")
    graph = igraph.Graph.Read_GraphML(str(tmp_path / "w.graphml"))
    assert graph.is_dag()
    edges = zip(graph.es, graph.es["weight"], graph.es["id"], strict=True)
    assert {edge.tuple: (weight, number) for edge, weight, number in edges} == EDGES
    assert graph.vs["status"] == STATUS
    assert graph.vs["level"] == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert graph.vs["kernel"][3] == "0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0"
    assert graph["network"] == "mobilenet_v1"


def test_networkx_reads_gexf(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.gexf")
    graph = networkx.read_gexf(tmp_path / "w.gexf", node_type=int)
    assert [graph.nodes[node].pop("label") for node in range(9)] == [str(node) for node in range(9)]
    places = [graph.nodes[node].pop("viz")["position"] for node in range(9)]
    assert [place["x"] for place in places] == [0, 0, 24, 24, 48, 48, 72, 72, 72]
    assert [place["y"] for place in places] == [7.5, -7.5] * 3 + [15, 0, -15]
    check(graph, "0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0")


def test_gexf_describes_the_graph(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.gexf")
    root = ET.parse(tmp_path / "w.gexf").getroot()
    space = {"g": "http://www.gexf.net/1.2draft"}
    description = root.findtext("g:meta/g:description", None, space)
    assert description is not None
    assert json.loads(description)["class_names"] == ["<cat>", "dog & co"]
    types = {each.get("title"): each.get("type") for each in root.iterfind(".//g:attribute", space)}
    assert (types["level"], types["scale"], types["status"], types["id"]) == (
        "long",
        "double",
        "string",
        "long",
    )
    # Gephi has columns of its own by these names.
    assert {"id", "weight"}.isdisjoint(each.get("id") for each in root.iterfind(".//g:attribute", space))


def test_networkx_reads_json(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.json")
    data = json.loads((tmp_path / "w.json").read_text())
    assert data["types"] == {
        "scale": "float64",
        "shift": "float64",
        "eps": "float64",
        "kernel": "float32",
        "weight": "float32",
    }
    # In its older versions the edges are called links.
    graph = networkx.node_link_graph(data | {"links": data["edges"]}, **_edges_argument())
    check(graph, COPY)
    assert graph.graph["class_names"] == ["<cat>", "dog & co"]


def _edges_argument() -> dict[str, str]:
    version = tuple(map(int, networkx.__version__.split(".")[:2]))
    return {"edges": "edges"} if version >= (3, 4) else {}


def test_a_csv_reader_finds_edges_and_nodes(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.csv")
    with (tmp_path / "w.csv").open(newline="") as file:
        edges = {
            (int(row["source"]), int(row["target"])): (float(row["weight"]), int(row["id"]))
            for row in csv.DictReader(file)
        }
    assert edges == EDGES
    with (tmp_path / "w.nodes.csv").open(newline="") as file:
        nodes = list(csv.DictReader(file))
    assert [node["id"] for node in nodes] == [str(number) for number in range(9)]
    assert [node["status"] for node in nodes] == STATUS
    assert nodes[3]["kernel"] == "0.0 0.0 0.0 0.0 1.0 0.0 0.0 0.0 0.0"
    assert (nodes[8]["norm"], nodes[8]["scale"], nodes[8]["kernel"]) == ("none", "", "")
    about = json.loads((tmp_path / "w.graph.json").read_text())
    assert (about["nodes"], about["edges"]) == (9, 7)
    assert about["attributes"]["class_names"] == ["<cat>", "dog & co"]


@pytest.mark.needs_dgl
def test_dgl_reads_its_own(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.bin")
    (graph,), labels = load_dgl().load_graphs(str(tmp_path / "w.bin"))
    source, target = (ends.tolist() for ends in graph.edges(order="eid"))
    data = zip(graph.edata["weight"].tolist(), graph.edata["id"].tolist(), strict=True)
    assert dict(zip(zip(source, target, strict=True), data, strict=True)) == EDGES
    assert graph.ndata["status"].tolist() == [2, 0, 2, 1, 2, 1, 2, 1, 1]
    assert graph.ndata["norm"].tolist() == [0] * 6 + [2] * 3
    assert graph.ndata["kernel"][3].flatten().tolist() == COPY
    assert bool(graph.ndata["kernel"][8].isnan().all())
    assert json.loads(labels["attributes"].numpy().tobytes())["class_names"] == ["<cat>", "dog & co"]


def test_dot_has_a_statement_for_each(nine: nn.Module, tmp_path: Path) -> None:
    dg.save_graph(nine, tmp_path / "w.dot")
    text = (tmp_path / "w.dot").read_text()
    assert text.startswith("digraph wiring {\n")
    assert text.endswith("}\n")
    edges = re.findall(r'^(\d+) -> (\d+) \[weight="([^"]*)", id="(\d+)", .*\];$', text, flags=re.MULTILINE)
    assert {(int(u), int(v)): (float(weight), int(id_)) for u, v, weight, id_ in edges} == EDGES
    assert len(re.findall(r'^\d+ \[level="\d", .*\];$', text, flags=re.MULTILINE)) == 9
    assert re.findall(r"\{rank=same; (.*)\}", text) == ["0; 1;", "2; 3;", "4; 5;", "6; 7; 8;"]
    assert re.search(
        r'^8 \[level="3", channel="2", .*label="3:2", fillcolor="#F9E2AE"\];$', text, re.MULTILINE
    )
    assert re.search(
        r'^5 -> 6 .*color="#[0-9A-F]{6}", penwidth="[\d.]+", label="[-\d.]+"\];$', text, re.MULTILINE
    )
    assert 'class_names="[\\"<cat>\\", \\"dog & co\\"]";' in text
