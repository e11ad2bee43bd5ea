"""Wirings as .npz files: what they hold, exact and stable."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.interchange import Graph, npz
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.dense_baselines import MobileNetV1
from dnw_graph.models.facts import Facts
from dnw_graph.models.network import WiredNetwork

Networks = Callable[..., WiredNetwork]
Same = Callable[[Graph, Graph], None]


def test_file_says_what_the_nine_nodes_are(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / "w.npz")
    graph = dg.load_graph(tmp_path / "w.npz")
    edges = {
        (int(source), int(target)): float(weight)
        for source, target, weight in zip(
            *(graph.edges[name] for name in ("source", "target", "weight")), strict=True
        )
    }
    assert edges == {(0, 2): 2, (0, 4): 0.5, (2, 4): -1, (3, 5): 3, (4, 6): 1, (5, 6): 2, (5, 7): -2}
    assert graph.edges["id"].tolist() == [0, 4, 8, 11, 0, 1, 3]
    assert graph.edge_stage.tolist() == [0, 0, 0, 0, 1, 1, 1]
    assert graph.nodes["level"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert graph.nodes["resolution"].tolist() == [8, 8, 8, 8, 8, 8, 4, 4, 4]
    status = ["live", "dead", "live", "constant", "live", "constant", "live", "constant", "constant"]
    assert graph.nodes["status"].tolist() == status
    assert graph.nodes["norm"].tolist() == ["batch"] * 6 + ["none"] * 3
    np.testing.assert_allclose(graph.nodes["scale"], [1] * 6 + [np.nan] * 3, rtol=1e-7)
    np.testing.assert_allclose(graph.nodes["shift"], [0, 0, 0, 1, 5, 0] + [np.nan] * 3)
    assert graph.nodes["kernel"][0].tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert np.isnan(graph.nodes["kernel"][6:]).all()
    assert graph.attributes == {
        "format_version": 1,
        "network": "mobilenet_v1",
        "rule": "top_k",
        "node_operation": "norm,relu,conv3x3",
        "input_resolution": 8,
    }


def test_batch_norm_is_folded(nine_nodes: WiredNetwork) -> None:
    norm: Any = nine_nodes.body.operations[0].norm
    with torch.no_grad():
        norm.weight.fill_(3)
        norm.bias.fill_(1)
        norm.running_mean.fill_(0.5)
        norm.running_var.fill_(4 - norm.eps)
    graph = graph_of(nine_nodes)
    np.testing.assert_allclose(graph.nodes["scale"][:2], 3 / 2, rtol=1e-6)
    np.testing.assert_allclose(graph.nodes["shift"][:2], 1 - 0.5 * 3 / 2, rtol=1e-6)


def test_instance_norm_is_affine_only(wired: Networks) -> None:
    model = wired("tiny_static", seed=1)
    graph = graph_of(model)
    norm: Any = model.body.operations[0].norm
    assert graph.nodes["norm"].tolist() == ["instance"] * 16 + ["none"] * 5
    np.testing.assert_array_equal(graph.nodes["scale"][:4], norm.weight.detach().double())
    np.testing.assert_array_equal(graph.nodes["shift"][:4], norm.bias.detach().double())


def test_known_classes_and_preprocessing_are_saved(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    known = {"class_names": ["naïve", "cat"], "preprocessing": {"mean": [0.5, 0.25, 0.1]}}
    nine_nodes.facts = Facts(**known)
    dg.save_graph(nine_nodes, tmp_path / "w.npz")
    assert known.items() <= dg.load_graph(tmp_path / "w.npz").attributes.items()


@settings(max_examples=15, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    depth=st.integers(1, 3),
    density=st.floats(0.1, 1),
    seed=st.integers(0, 9),
    double=st.booleans(),
)
def test_loaded_is_what_was_saved(
    wired: Networks, assert_same: Same, widths: list[int], depth: int, density: float, seed: int, double: bool
) -> None:
    blocks = tuple((a, b, 2, depth) for a, b in pairwise(widths))
    model = wired("mobilenet_v1", seed, blocks=blocks, density=density)
    graph = graph_of(model.double() if double else model)
    assert_same(npz.from_bytes(npz.to_bytes(graph), "w.npz"), graph)


def test_same_graph_gives_the_same_bytes(wired: Networks, tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        dg.save_graph(wired("tiny_static", seed=3), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_numpy_opens_it_without_pickle(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as file:
        assert file["edges.weight"].tolist() == [2, 0.5, -1, 3, 1, 2, -2]
        assert json.loads(file["attributes"].item())["rule"] == "top_k"


def test_names_that_lead_nowhere(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"w.txt: the suffix '.txt' names no format for graphs; use .npz"):
        dg.save_graph(nine_nodes, tmp_path / "w.txt")
    with pytest.raises(InputError, match=r"w: the suffix '' names no format"):
        dg.load_graph(tmp_path / "w")
    with pytest.raises(InputError, match=r"w.npz: cannot be read \(No such file"):
        dg.load_graph(tmp_path / "w.npz")
    with pytest.raises(InputError, match=r"w.npz: cannot be written \(No such file"):
        dg.save_graph(nine_nodes, tmp_path / "missing" / "w.npz")
    with pytest.raises(InputError, match="MobileNetV1 is a dense network and has no wiring"):
        dg.save_graph(MobileNetV1(0.25, 10, 32), tmp_path / "w.npz")
    assert list(tmp_path.iterdir()) == []


def test_only_a_path_can_be_loaded(nine_nodes: WiredNetwork) -> None:
    with pytest.raises(InputError, match="load_graph reads a file and was given a Graph; give its path"):
        dg.load_graph(graph_of(nine_nodes))  # type: ignore[arg-type]


def test_unusable_graph_is_not_saved(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    with torch.no_grad():
        nine_nodes.candidates(0).parameter[8] = torch.nan
    with pytest.raises(InputError, match="the graph to be saved: weight of edge 2 is nan"):
        dg.save_graph(nine_nodes, tmp_path / "w.npz")
    assert list(tmp_path.iterdir()) == []
