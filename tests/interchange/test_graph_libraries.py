"""`to_networkx`, `to_dgl`, `to_pyg`: the same graph as in the files, as those libraries want it."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx
import pytest
import torch

import dnw_graph as dg
from dnw_graph.dependencies import load_pyg
from dnw_graph.errors import InputError
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.dense_baselines import MobileNetV1
from dnw_graph.models.facts import Facts
from dnw_graph.models.network import WiredNetwork
from dnw_graph.portable.part import part_of

Networks = Callable[..., WiredNetwork]
LIBRARIES = [dg.to_networkx, pytest.param(dg.to_dgl, marks=pytest.mark.needs_dgl), dg.to_pyg]


def same(one: dict[Any, dict[str, Any]], other: dict[Any, dict[str, Any]]) -> bool:
    """NaN, which differs from itself, is the same text."""
    return repr(one) == repr(other)


def test_nine_nodes_as_plain_values(nine_nodes: WiredNetwork) -> None:
    nine_nodes.facts = Facts(class_names=["cat", "dog"])
    graph = dg.to_networkx(nine_nodes)
    assert isinstance(graph, networkx.DiGraph)
    assert networkx.is_directed_acyclic_graph(graph)
    assert list(graph) == list(range(9))
    assert graph.edges[5, 7] == {"weight": -2.0, "id": 3}
    third, last = graph.nodes[3], graph.nodes[8]
    assert third["kernel"] == (0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    assert (third["level"], third["status"], third["shift"]) == (1, "constant", 1.0)
    assert {type(value) for value in third.values()} == {int, str, float, tuple}
    assert last.keys() == third.keys()
    absent = [last["scale"], last["shift"], last["eps"], *last["kernel"]]
    assert last["norm"] == "none"
    assert len(absent) == 12
    assert all(map(math.isnan, absent))
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
    assert same(dict(loaded.nodes(data=True)), dict(direct.nodes(data=True)))
    assert {ends: loaded.edges[ends] for ends in loaded.edges} == {
        ends: direct.edges[ends] for ends in direct.edges
    }


@pytest.mark.parametrize("network", ["tiny_static", "mobilenet_v1"])
def test_pyg_takes_the_networkx_graph(network: str, wired: Networks) -> None:
    """PyG's own conversion, which wants the same attributes on all nodes, finds what `to_pyg` gives."""
    model = wired(network, seed=5)
    ours = dg.to_pyg(model)
    load_pyg()
    from torch_geometric.utils import from_networkx

    theirs = from_networkx(dg.to_networkx(model))
    order = theirs.edge_index[0] * theirs.num_nodes + theirs.edge_index[1]
    mine = ours.edge_index[0] * ours.num_nodes + ours.edge_index[1]
    assert torch.equal(order.sort().values, mine.sort().values)
    assert torch.equal(theirs.weight[order.argsort()], ours.edge_weight[mine.argsort()])
    assert torch.equal(theirs.id[order.argsort()], ours.edge_id[mine.argsort()])
    for name in ("level", "channel", "stage", "resolution", "stride", "carry"):
        assert torch.equal(theirs[name], ours[name])
    names = ["dead", "constant", "live"]
    assert theirs.status == [names[code] for code in ours.status.tolist()]
    for name in ("scale", "shift", "eps"):
        torch.testing.assert_close(theirs[name].double(), ours[name], equal_nan=True)
    torch.testing.assert_close(theirs.kernel.view(-1, 3, 3), ours.kernel, equal_nan=True)
    assert theirs.network == ours.network == network


def test_pyg_passes_the_messages_of_the_wiring(nine_nodes: WiredNetwork) -> None:
    """z_v = Σ w_uv · h_u by PyG's own layer, with numbers checked by hand."""
    data = dg.to_pyg(nine_nodes)
    assert data.validate()
    assert data.is_directed()
    from torch_geometric.nn import SimpleConv

    h = torch.tensor([[1.0], [10], [100], [1000], [2], [3], [0], [0], [0]])
    z = SimpleConv(aggr="sum")(h, data.edge_index, data.edge_weight)
    assert z.flatten().tolist() == [0, 0, 2, 0, -99.5, 3000, 8, -6, 0]


def test_pyg_knows_what_belongs_to_nodes_and_to_edges(nine_nodes: WiredNetwork) -> None:
    data = dg.to_pyg(nine_nodes)
    assert set(data.edge_attrs()) == {"edge_index", "edge_weight", "edge_id"}
    assert {"level", "status", "carry", "norm", "kernel"} < set(data.node_attrs())
    assert data.norm.tolist() == [0] * 6 + [2] * 3
    assert data.subgraph(torch.arange(6)).edge_id.tolist() == [0, 4, 8, 11]


@pytest.mark.needs_dgl
def test_dgl_has_what_the_model_gives_and_more(nine_nodes: WiredNetwork) -> None:
    plain, whole = nine_nodes.graph(), dg.to_dgl(nine_nodes)
    assert plain.ndata.keys() < whole.ndata.keys()
    for name, values in plain.ndata.items():
        assert torch.equal(whole.ndata[name], values)
    assert plain.edata.keys() == whole.edata.keys()
    for name, values in plain.edata.items():
        assert torch.equal(whole.edata[name], values)
    assert all(map(torch.equal, plain.edges(order="eid"), whole.edges(order="eid")))
    assert whole.ndata["kernel"][3].flatten().tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]


def test_pyg_and_dgl_say_the_same_of_a_part(nine_nodes: WiredNetwork) -> None:
    """Where nodes were left out, `number` has their numbers in the whole wiring."""
    part = part_of(graph_of(nine_nodes), stage=1)
    data = dg.to_pyg(part)
    assert data.number.tolist() == list(dg.to_networkx(part)) == [4, 5, 6, 7, 8]
    assert data.number[data.edge_index].T.tolist() == [[4, 6], [5, 6], [5, 7]]
    assert data.part == part.attributes["part"]


def test_what_is_done_to_it_leaves_the_graph_as_it_is(nine_nodes: WiredNetwork) -> None:
    graph = graph_of(nine_nodes)
    dg.to_pyg(graph).edge_weight.zero_()
    assert graph.edges["weight"].all()


@pytest.mark.parametrize("convert", LIBRARIES)
def test_what_is_no_wiring_is_refused(convert: Callable[..., Any], nine_nodes: WiredNetwork) -> None:
    with pytest.raises(InputError, match="MobileNetV1 is a dense network and has no wiring"):
        convert(MobileNetV1(0.25, 10, 32))
    graph = graph_of(nine_nodes)
    graph.edges["weight"][2] = torch.nan
    with pytest.raises(InputError, match="the graph: weight of edge 2 is nan"):
        convert(graph)
