"""The wiring as a DGL graph."""

from __future__ import annotations

import dataclasses

import networkx as nx
import pytest
import torch

from dnw_graph.dependencies import load_dgl
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static


@pytest.mark.needs_dgl
def test_nine_nodes_carry_their_data(nine_nodes):
    graph = nine_nodes.graph()
    data = {name: values.tolist() for name, values in graph.ndata.items()}
    assert data == {
        "level": [0, 0, 1, 1, 2, 2, 3, 3, 3],
        "channel": [0, 1, 0, 1, 0, 1, 0, 1, 2],
        "stage": [-1, -1, 0, 0, 0, 0, 1, 1, 1],
        "resolution": [8, 8, 8, 8, 8, 8, 4, 4, 4],
        "stride": [1, 1, 1, 1, 2, 2, 1, 1, 1],
        "status": [2, 0, 2, 1, 2, 1, 2, 1, 1],
        "carry": [-1] * 9,
    }


@pytest.mark.needs_dgl
def test_nine_nodes_have_seven_edges_with_weight_and_id(nine_nodes):
    graph = nine_nodes.graph()
    source, target = graph.edges()
    edges = zip(
        *(x.tolist() for x in (source, target, graph.edata["id"], graph.edata["weight"])), strict=True
    )
    assert list(edges) == [
        (0, 2, 0, 2.0),
        (0, 4, 4, 0.5),
        (2, 4, 8, -1.0),
        (3, 5, 11, 3.0),
        (4, 6, 0, 1.0),
        (5, 6, 1, 2.0),
        (5, 7, 3, -2.0),
    ]


def test_nodes_that_the_classifier_does_not_read_are_dead(nine_nodes, monkeypatch):
    """If only node 7 is read, all that ends in node 6 alone is dead; 3 → 5 → 7 is constant."""
    monkeypatch.setattr(nine_nodes, "outputs_read", lambda: torch.tensor([False, True, False]).numpy())
    assert nine_nodes.wiring_data().nodes["status"].tolist() == [0, 0, 0, 1, 0, 1, 0, 1, 0]


def networks():
    return {
        "mobilenet": mobilenet_v1(
            rule="random", num_classes=4, image_size=37, density=0.4, blocks=((3, 5, 1, 3), (5, 4, 2, 2))
        ),
        "small": mobilenet_v1(
            rule="random",
            num_classes=4,
            image_size=70,
            width=0.3,
            small=True,
            blocks=((3, 5, 2, 1), (5, 8, 2, 2)),
        ),
        "tiny": tiny_static(
            rule="random", num_classes=4, edges=30, groups=(3, 5, 5), readout=4, stem_channels=2
        ),
    }


@pytest.mark.needs_dgl
@pytest.mark.parametrize("name", ["mobilenet", "small", "tiny"])
def test_graph_is_acyclic_and_speaks_the_numbering_of_the_parameters(name):
    model = networks()[name]
    graph = model.graph()
    assert nx.is_directed_acyclic_graph(nx.DiGraph(load_dgl().to_networkx(graph)))
    source, target = graph.edges()
    level, stage_of = graph.ndata["level"], graph.ndata["stage"]
    assert (level[source] < level[target]).all()
    for number in range(model.num_stages):
        candidates = model.candidates(number)
        here = stage_of[target] == number
        ids = graph.edata["id"][here]
        assert torch.equal(ids, model.wirings()[f"stage_{number}"])
        assert torch.equal(candidates.source[ids], source[here])
        assert torch.equal(candidates.target[ids], target[here])
        assert torch.equal(candidates.parameter.detach()[ids], graph.edata["weight"][here])


@pytest.mark.needs_dgl
def test_a_source_sends_at_the_resolution_of_its_target():
    model = networks()["mobilenet"]
    graph = model.graph()
    source, target = graph.edges()
    resolution, stride = graph.ndata["resolution"], graph.ndata["stride"]
    sent = (resolution[source] + stride[source] - 1) // stride[source]
    assert torch.equal(sent, resolution[target])


@pytest.mark.needs_dgl
def test_small_classifier_is_a_graph_of_its_own():
    """8 pooled channels, 4 classes, ceil(0.3 · 32) = 10 edges."""
    model = networks()["small"]
    graph = model.head.graph()
    assert (graph.num_nodes(), graph.num_edges()) == (12, 10)
    assert graph.ndata["stage"].tolist() == [-1] * 8 + [0] * 4
    source, _ = graph.edges()
    read = torch.from_numpy(model.outputs_read())
    assert read.nonzero().squeeze(1).tolist() == sorted(set(source.tolist()))


@pytest.mark.needs_dgl
def test_readout_nodes_name_their_twin():
    graph = networks()["tiny"].graph()
    assert graph.ndata["carry"].tolist() == [-1] * 13 + [9, 10, 11, 12]
    assert graph.ndata["resolution"].unique().tolist() == [8]


def test_candidates_are_the_parameter_itself(nine_nodes):
    candidates = nine_nodes.candidates(0)
    assert candidates.parameter is nine_nodes.body.stages[0].weight
    assert [field.name for field in dataclasses.fields(candidates)] == ["source", "target", "parameter"]
    assert candidates.source.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3]
