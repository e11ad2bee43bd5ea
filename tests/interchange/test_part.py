"""Parts of a wiring: one stage, strong edges, without dead nodes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.interchange import Graph
from dnw_graph.interchange.check import check_graph
from dnw_graph.interchange.extract import graph_of
from dnw_graph.interchange.part import part_of
from dnw_graph.models.network import WiredNetwork

Networks = Callable[..., WiredNetwork]
Same = Callable[[Graph, Graph], None]
Strip = Callable[[Graph], Graph]


def ends(graph: Graph) -> list[tuple[int, int]]:
    source, target = (graph.numbers[graph.edges[end]].tolist() for end in ("source", "target"))
    return list(zip(source, target, strict=True))


def test_nothing_left_out_is_the_graph_itself(nine_nodes: WiredNetwork) -> None:
    graph = graph_of(nine_nodes)
    assert part_of(graph) is graph


def test_one_stage_has_its_input_level_too(nine_nodes: WiredNetwork) -> None:
    part = part_of(graph_of(nine_nodes), stage=1)
    assert part.numbers.tolist() == [4, 5, 6, 7, 8]
    assert ends(part) == [(4, 6), (5, 6), (5, 7)]
    assert part.edges["source"].tolist() == [0, 1, 1]
    assert part.edges["id"].tolist() == [0, 1, 3]
    assert part.nodes["status"].tolist() == ["live", "constant", "live", "constant", "constant"]
    assert part.attributes["part"]["stage"] == 1
    assert [level["nodes"] for level in part.attributes["part"]["levels"]] == [2, 2, 2, 3]


def test_threshold_keeps_strong_edges_and_says_who_lives_on(nine_nodes: WiredNetwork) -> None:
    """Without the edges of weight 0.5 and ±1, nothing leads from the stem to the classifier."""
    part = part_of(graph_of(nine_nodes), threshold=2)
    assert ends(part) == [(0, 2), (3, 5), (5, 6), (5, 7)]
    dead, constant = "dead", "constant"
    assert part.nodes["status"].tolist() == [dead, dead, dead, constant, dead, *[constant] * 4]
    assert part.attributes["part"] == {"threshold": 2.0}


def test_strongest_edges_keep_their_ends_and_status(nine_nodes: WiredNetwork) -> None:
    whole = graph_of(nine_nodes)
    part = part_of(whole, strongest=2)
    magnitudes = np.abs(whole.edges["weight"])
    assert sorted(np.abs(part.edges["weight"])) == sorted(magnitudes)[-2:]
    assert set(part.numbers.tolist()) == {node for edge in ends(part) for node in edge}
    assert part.nodes["status"].tolist() == whole.nodes["status"][part.numbers].tolist()
    assert part.attributes["part"]["strongest"] == 2
    assert part_of(whole, strongest=99).num_edges == whole.num_edges
    assert ends(part_of(whole, stage=1, strongest=1)) == [(5, 6)]
    with pytest.raises(InputError, match="strongest 0 leaves no edge; give 1 or more"):
        part_of(whole, strongest=0)


def test_dead_nodes_go_and_constant_ones_stay(nine_nodes: WiredNetwork) -> None:
    part = part_of(graph_of(nine_nodes), without_dead=True)
    assert part.numbers.tolist() == [0, 2, 3, 4, 5, 6, 7, 8]
    assert part.num_edges == 7
    both = part_of(graph_of(nine_nodes), threshold=2, without_dead=True)
    assert both.numbers.tolist() == [3, 5, 6, 7, 8]
    assert ends(both) == [(3, 5), (5, 6), (5, 7)]


@pytest.mark.parametrize("suffix", [".npz", ".graphml", ".json", ".csv", ".bin"])
@pytest.mark.parametrize(
    "options",
    [
        {"stage": 0},
        {"threshold": 0.2},
        {"without_dead": True},
        {"stage": 1, "threshold": 0.1, "without_dead": True},
        {"threshold": 1e9, "without_dead": True},
        # Nothing at all is left.
        {"stage": 0, "threshold": 1e9, "without_dead": True},
    ],
    ids=str,
)
def test_parts_are_loaded_as_they_were(
    suffix: str,
    options: dict[str, Any],
    wired: Networks,
    assert_same: Same,
    without_raw_norms: Strip,
    tmp_path: Path,
) -> None:
    model = wired("mobilenet_v1", seed=2, density=0.15)
    dg.save_graph(model, tmp_path / f"w{suffix}", **options)
    wanted = part_of(graph_of(model), **options)
    loaded = dg.load_graph(tmp_path / f"w{suffix}", trusted=True)
    assert_same(loaded, wanted if suffix == ".npz" else without_raw_norms(wanted))


@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
@pytest.mark.parametrize("suffix", [".npz", ".graphml"])
def test_wiring_without_dead_nodes_runs(network: str, suffix: str, wired: Networks, tmp_path: Path) -> None:
    sparse = {"density": 0.15} if network == "mobilenet_v1" else {"edges": 20}
    model, other = wired(network, seed=2, **sparse), wired(network, seed=77, **sparse)
    other.stem.load_state_dict(model.stem.state_dict())
    other.head.load_state_dict(model.head.state_dict())
    dg.save_graph(model, tmp_path / f"w{suffix}", without_dead=True)
    graph = dg.load_graph(tmp_path / f"w{suffix}")
    assert graph.num_nodes < model.layout.num_nodes
    other.load_graph(graph)
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(9))
    with torch.no_grad():
        wanted, found = model(images), other(images)
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-6


def test_strong_edges_alone_run(wired: Networks) -> None:
    model, other = wired("tiny_static", seed=2), wired("tiny_static", seed=2)
    graph = graph_of(model)
    threshold = float(abs(graph.edges["weight"]).mean())
    other.load_graph(part_of(graph, threshold=threshold))
    assert 0 < other.wirings()["stage_0"].numel() < graph.num_edges
    with torch.no_grad():
        stage = model.candidates(0).parameter
        stage[stage.abs() < threshold] = 0
        images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(9))
        torch.testing.assert_close(other(images), model(images))


def test_one_stage_is_no_network(nine_nodes: WiredNetwork) -> None:
    part = part_of(graph_of(nine_nodes), stage=1)
    with pytest.raises(InputError, match="graph: holds one stage of a wiring; export it without choosing a"):
        nine_nodes.load_graph(part)


def test_what_reads_whole_wirings_refuses_parts(nine_nodes: WiredNetwork) -> None:
    with pytest.raises(InputError, match="graph: holds a part of a wiring only"):
        check_graph(part_of(graph_of(nine_nodes), stage=0), "graph")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stage": 2}, "stage 2 is not there; this wiring has stages 0 to 1"),
        ({"stage": -1}, "stage -1 is not there"),
        ({"threshold": -0.5}, "threshold -0.5 is no magnitude"),
        ({"threshold": float("nan")}, "threshold nan is no magnitude"),
    ],
)
def test_parts_that_are_not_there(options: dict[str, Any], message: str, nine_nodes: WiredNetwork) -> None:
    with pytest.raises(InputError, match=message):
        part_of(graph_of(nine_nodes), **options)


def test_parts_of_parts_are_refused(nine_nodes: WiredNetwork) -> None:
    part = part_of(graph_of(nine_nodes), threshold=1)
    with pytest.raises(InputError, match="the graph is a part already; take parts of the whole wiring"):
        part_of(part, stage=0)
