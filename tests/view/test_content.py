"""What the page is given says what the graph says."""

import dataclasses

import numpy as np
import pytest

from dnw_graph.analysis.stored import StoredWirings
from dnw_graph.analysis.wiring import wiring_from_graph
from dnw_graph.errors import InputError
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.lower import lower
from dnw_graph.portable.part import part_of
from dnw_graph.view import steps
from dnw_graph.view.content import content_of


def test_the_nine_nodes_are_all_there(nine_nodes):
    graph = graph_of(nine_nodes)
    content = content_of(graph, "nine", program=lower(nine_nodes))
    about, arrays = content.about, content.arrays
    assert (about["nodes"], about["edges"], about["candidates"]) == (9, 7, 18)
    # 1 and 8 lead nowhere and hear nothing; 3 is constant.
    assert sum(about["status"].values()) == 9
    assert [level["size"] for level in about["levels"]] == [2, 2, 2, 3]
    assert [level["resolution"] for level in about["levels"]] == [8, 8, 8, 4]
    ends = zip(arrays["edge/source"].tolist(), arrays["edge/target"].tolist(), strict=True)
    edges = dict(zip(ends, arrays["edge/weight"].tolist(), strict=True))
    assert edges == {(0, 2): 2, (0, 4): 0.5, (2, 4): -1, (3, 5): 3, (4, 6): 1, (5, 6): 2, (5, 7): -2}
    assert arrays["node/kernel"][0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert np.isnan(arrays["node/kernel"][6:]).all()
    assert len(about["steps"]) == len(lower(nine_nodes).steps)


def test_counts_and_weights_are_the_graphs(networks):
    graph = graph_of(networks.tiny())
    content = content_of(graph, "tiny")
    assert content.about["nodes"] == graph.num_nodes == len(content.arrays["node/status"])
    assert content.about["edges"] == graph.num_edges == len(content.arrays["edge/weight"])
    for name, count in content.about["status"].items():
        assert count == (graph.nodes["status"] == name).sum()
    assert np.array_equal(content.arrays["edge/source"], graph.edges["source"])
    assert np.array_equal(content.arrays["edge/weight"], graph.edges["weight"])
    assert np.array_equal(content.arrays["node/carry"], graph.nodes["carry"])


def test_epochs_come_back_from_their_changes(networks):
    graph = graph_of(networks.mobilenet())
    wiring = wiring_from_graph(graph)
    layout = wiring.layout
    random = np.random.default_rng(0)
    ids = tuple(
        tuple(np.flatnonzero(random.random(stage.num_candidates) < 0.4) for stage in layout.stages)
        for _ in range(4)
    )
    # The wiring of now is one of them.
    ids += (tuple(wiring.ids_of(stage.index) for stage in layout.stages),)
    content = content_of(graph, "run", past=StoredWirings(layout, (0, 1, 2, 7, 8), ids))
    arrays = content.arrays
    assert content.about["epochs"] == [0, 1, 2, 7, 8]
    source = np.concatenate([arrays["edge/source"], arrays["past/source"]])
    target = np.concatenate([arrays["edge/target"], arrays["past/target"]])
    there = np.zeros(len(source), dtype=bool)
    for epoch, of in enumerate(ids):
        first, end = arrays["past/first"][epoch : epoch + 2]
        there[arrays["past/change"][first:end]] ^= True
        wanted = [stage.ends(each) for stage, each in zip(layout.stages, of, strict=True)]
        pairs = {(a, b) for ends in wanted for a, b in zip(*ends, strict=True)}
        assert set(zip(source[there], target[there], strict=True)) == pairs
    assert there[: wiring.num_edges].all()
    assert not there[wiring.num_edges :].any()


def test_of_a_long_training_the_first_and_the_last_epoch_are_kept(networks):
    graph = graph_of(networks.tiny())
    wiring = wiring_from_graph(graph)
    stored = StoredWirings(wiring.layout, tuple(range(300)), ((wiring.ids_of(0),),) * 300)
    epochs = content_of(graph, "run", past=stored).about["epochs"]
    assert len(epochs) == 64
    assert (epochs[0], epochs[-1]) == (0, 299)


def test_a_graph_without_its_dead_nodes_is_refused(nine_nodes):
    part = part_of(graph_of(nine_nodes), without_dead=True)
    with pytest.raises(InputError, match="nodes were left out"):
        content_of(part, "part")


def test_a_network_that_the_page_cannot_run_says_why(networks, nine_nodes, monkeypatch):
    program = lower(nine_nodes)
    silent, why, arrays = steps.steps_of(None, "the file holds the wiring alone")
    assert (silent, why, arrays) == (None, "the file holds the wiring alone", {})
    monkeypatch.setattr(steps, "MOST_MACS", 10)
    assert "multiply-accumulates, too many" in steps.steps_of(program, "")[1]


def test_norms_are_folded_and_ids_left_out(nine_nodes):
    program = lower(nine_nodes)
    made, _, arrays = steps.steps_of(dataclasses.replace(program), "")
    assert made is not None
    assert {key.rpartition(".")[2] for key in arrays} <= {
        "weight",
        "bias",
        "kernel",
        "scale",
        "shift",
        "row",
        "column",
    }
    first = next(each for each in made if each["kind"] == "NodeOperation")
    assert np.allclose(arrays[f"step/{first['name']}.scale"], 1)
