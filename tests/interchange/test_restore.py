"""A loaded graph runs: the same bits with the same stem and head, and no half-changed network otherwise."""

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
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.network import WiredNetwork
from dnw_graph.wiring import Rule, TopK

RAW_NORM = ("norm_weight", "norm_bias", "norm_mean", "norm_var")
Networks = Callable[..., WiredNetwork]
Same = Callable[[Graph, Graph], None]


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(9))


def with_same_ends(wired: Networks, network: str, model: WiredNetwork, **options: Any) -> WiredNetwork:
    """Another network of the same shape; only stem and head are those of `model`."""
    other = wired(network, seed=77, **options)
    other.stem.load_state_dict(model.stem.state_dict())
    other.head.load_state_dict(model.head.state_dict())
    return other


@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loaded_graph_gives_the_same_bits(
    wired: Networks, assert_same: Same, network: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    model = wired(network, seed=1).to(dtype)
    other = with_same_ends(wired, network, model).to(dtype)
    dg.save_graph(model, tmp_path / "w.npz")
    with torch.no_grad():
        wanted, before = model(images().to(dtype)), other(images().to(dtype))
        other.load_graph(dg.load_graph(tmp_path / "w.npz"))
        assert torch.equal(other(images().to(dtype)), wanted)
    assert not torch.allclose(before, wanted, rtol=1e-3)
    assert not torch.allclose(wanted[0], wanted[1], rtol=1e-3)
    assert_same(graph_of(other), graph_of(model))


@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
def test_scale_and_shift_alone_give_the_same_logits(wired: Networks, network: str) -> None:
    model = wired(network, seed=2)
    other, graph = with_same_ends(wired, network, model), graph_of(model)
    for name in RAW_NORM:
        del graph.nodes[name]
    other.load_graph(graph)
    with torch.no_grad():
        wanted, found = model(images()), other(images())
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-6


def test_small_network_saves_its_body(wired: Networks) -> None:
    model = wired("mobilenet_v1", seed=1, small=True, density=0.4)
    other = with_same_ends(wired, "mobilenet_v1", model, small=True, density=0.4)
    other.load_graph(graph_of(model))
    with torch.no_grad():
        assert torch.equal(other(images()), model(images()))


def test_next_selection_keeps_a_loaded_wiring(wired: Networks, assert_same: Same) -> None:
    model = wired("mobilenet_v1", seed=1)
    other = with_same_ends(wired, "mobilenet_v1", model, density=0.7)
    other.load_graph(graph_of(model))
    assert [stage.budget for _, stage in other.wired_stages()] == [
        stage.selected.numel() for _, stage in model.wired_stages()
    ]
    assert other.rewire(1) == 0
    assert_same(graph_of(other), graph_of(model))


def test_stage_without_an_edge_runs(nine_nodes: WiredNetwork) -> None:
    graph = graph_of(nine_nodes)
    graph.edges = {name: values[4:] for name, values in graph.edges.items()}
    nine_nodes.load_graph(graph)
    assert nine_nodes.wirings()["stage_0"].tolist() == []
    assert nine_nodes(torch.randn(2, 3, 8, 8)).isfinite().all()


def test_order_of_edges_does_not_matter(wired: Networks, assert_same: Same) -> None:
    model = wired("mobilenet_v1", seed=1)
    other, graph = with_same_ends(wired, "mobilenet_v1", model), graph_of(model)
    shuffled = np.random.default_rng(0).permutation(graph.num_edges)
    graph.edges = {name: values[shuffled] for name, values in graph.edges.items()}
    other.load_graph(graph)
    assert_same(graph_of(other), graph_of(model))


# Graphs that do not fit


@pytest.mark.parametrize(
    ("network", "options", "message"),
    [
        (
            "mobilenet_v1",
            {"blocks": ((2, 2, 1, 2), (2, 4, 2, 1))},
            r"its levels \(2 \| 2 2 \| 3 nodes, strides",
        ),
        ("tiny_static", {}, "are not those of this tiny_static"),
    ],
)
def test_graph_of_another_network_changes_nothing(
    network: str, options: dict[str, Any], message: str, wired: Networks, nine_nodes: WiredNetwork
) -> None:
    model = wired(network, 1, **options)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        model.load_graph(graph_of(nine_nodes))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_is_no_graph_is_refused(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    path: Any = tmp_path / "w.npz"
    with pytest.raises(
        InputError, match=r"a loaded graph is wanted, not PosixPath; dnw_graph.load_graph\(path\)"
    ):
        nine_nodes.load_graph(path)
    with pytest.raises(InputError, match="a network or a loaded graph is wanted, not OrderedDict"):
        dg.save_graph(nine_nodes.state_dict(), path)


def test_other_norms_are_refused(nine_nodes: WiredNetwork) -> None:
    graph = graph_of(nine_nodes)
    graph.nodes["eps"][2:4] = 1e-3
    for name in RAW_NORM:
        del graph.nodes[name]
    with pytest.raises(InputError, match="eps of level 1 is not 1e-05, as in this network"):
        nine_nodes.load_graph(graph)
    graph = graph_of(nine_nodes)
    graph.nodes["norm"][:2] = "instance"
    for name in RAW_NORM:
        del graph.nodes[name]
    with pytest.raises(InputError, match="level 0 has instance norm; this network has batch norm"):
        nine_nodes.load_graph(graph)


class Absolute(TopK):
    def effective(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.abs()


def test_rule_that_transforms_weights(assert_same: Same, nine_nodes: WiredNetwork) -> None:
    """Negative edges have no weight whose absolute value they are; positive ones do."""
    graph = graph_of(nine_nodes)
    rule: Rule = Absolute()
    for _, stage in nine_nodes.wired_stages():
        stage.rule = rule
    with pytest.raises(InputError, match="rule Absolute transforms weights and cannot hold those of stage_0"):
        nine_nodes.load_graph(graph)
    positive = graph_of(nine_nodes)
    nine_nodes.load_graph(positive)
    assert_same(graph_of(nine_nodes), positive)
