"""Wirings as .npz files: exact, stable, and refused with one sentence when they are no wiring."""

from __future__ import annotations

import io
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
from dnw_graph.models.dense_baselines import mobilenet_v1 as dense_network
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.wiring import Rule, TopK

RAW_NORM = ("norm_weight", "norm_bias", "norm_mean", "norm_var")
Arrays = dict[str, Any]
Blocks = tuple[tuple[int, int, int, int], ...]


def wired(network: str, seed: int, **options: Any) -> WiredNetwork:
    """A small network in eval mode whose norms and running statistics are nobody's defaults."""
    if network == "tiny_static":
        options = {"groups": (4, 6, 6), "readout": 5, "stem_channels": 3, "edges": 40, **options}
        model = tiny_static(rule="top_k", num_classes=3, seed=seed, **options)
    else:
        options = {"blocks": ((4, 6, 1, 2), (6, 8, 2, 3)), "density": 0.4, **options}
        model = mobilenet_v1(rule="top_k", num_classes=3, image_size=32, seed=seed, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point() and not name.startswith("body.stages"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        for operation in model.body.operations:
            operation.kernel.sub_(1)  # type: ignore[operator, union-attr]
    return model.eval()


def images(count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(9))


def with_same_ends(network: str, model: WiredNetwork, **options: Any) -> WiredNetwork:
    """Another network of the same shape; only stem and head are those of `model`."""
    other = wired(network, seed=77, **options)
    other.stem.load_state_dict(model.stem.state_dict())
    other.head.load_state_dict(model.head.state_dict())
    return other


def assert_same(one: Graph, other: Graph) -> None:
    assert one.attributes == other.attributes
    for mine, theirs in ((one.nodes, other.nodes), (one.edges, other.edges)):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert mine[name].dtype == theirs[name].dtype, name
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)


# What a file holds


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


def test_instance_norm_is_affine_only() -> None:
    model = wired("tiny_static", seed=1)
    graph = graph_of(model)
    norm: Any = model.body.operations[0].norm
    assert graph.nodes["norm"].tolist() == ["instance"] * 16 + ["none"] * 5
    np.testing.assert_array_equal(graph.nodes["scale"][:4], norm.weight.detach().double())
    np.testing.assert_array_equal(graph.nodes["shift"][:4], norm.bias.detach().double())


def test_known_classes_and_preprocessing_are_saved(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    known = {"class_names": ["naïve", "cat"], "preprocessing": {"mean": [0.5, 0.25, 0.1]}}
    nine_nodes.metadata.update(known)
    dg.save_graph(nine_nodes, tmp_path / "w.npz")
    assert known.items() <= dg.load_graph(tmp_path / "w.npz").attributes.items()


# Round trips


@settings(max_examples=15, deadline=None)
@given(
    widths=st.lists(st.integers(1, 5), min_size=2, max_size=4),
    depth=st.integers(1, 3),
    density=st.floats(0.1, 1),
    seed=st.integers(0, 9),
    double=st.booleans(),
)
def test_loaded_is_what_was_saved(
    widths: list[int], depth: int, density: float, seed: int, double: bool
) -> None:
    blocks = tuple((a, b, 2, depth) for a, b in pairwise(widths))
    model = wired("mobilenet_v1", seed, blocks=blocks, density=density)
    graph = graph_of(model.double() if double else model)
    assert_same(npz.from_bytes(npz.to_bytes(graph), "w.npz"), graph)


@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_loaded_graph_gives_the_same_bits(network: str, dtype: torch.dtype, tmp_path: Path) -> None:
    model = wired(network, seed=1).to(dtype)
    other = with_same_ends(network, model).to(dtype)
    dg.save_graph(model, tmp_path / "w.npz")
    with torch.no_grad():
        wanted, before = model(images().to(dtype)), other(images().to(dtype))
        other.load_graph(dg.load_graph(tmp_path / "w.npz"))
        assert torch.equal(other(images().to(dtype)), wanted)
    assert not torch.allclose(before, wanted, rtol=1e-3)
    assert not torch.allclose(wanted[0], wanted[1], rtol=1e-3)
    assert_same(graph_of(other), graph_of(model))


@pytest.mark.parametrize("network", ["mobilenet_v1", "tiny_static"])
def test_scale_and_shift_alone_give_the_same_logits(network: str) -> None:
    model = wired(network, seed=2)
    other, graph = with_same_ends(network, model), graph_of(model)
    for name in RAW_NORM:
        del graph.nodes[name]
    other.load_graph(graph)
    with torch.no_grad():
        wanted, found = model(images()), other(images())
    assert float((found - wanted).abs().max() / wanted.abs().max()) < 1e-6


def test_small_network_saves_its_body() -> None:
    model = wired("mobilenet_v1", seed=1, small=True, density=0.4)
    other = with_same_ends("mobilenet_v1", model, small=True, density=0.4)
    other.load_graph(graph_of(model))
    with torch.no_grad():
        assert torch.equal(other(images()), model(images()))


def test_next_selection_keeps_a_loaded_wiring() -> None:
    model = wired("mobilenet_v1", seed=1)
    other = with_same_ends("mobilenet_v1", model, density=0.7)
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


def test_order_of_edges_does_not_matter() -> None:
    model = wired("mobilenet_v1", seed=1)
    other, graph = with_same_ends("mobilenet_v1", model), graph_of(model)
    shuffled = np.random.default_rng(0).permutation(graph.num_edges)
    graph.edges = {name: values[shuffled] for name, values in graph.edges.items()}
    other.load_graph(graph)
    assert_same(graph_of(other), graph_of(model))


def test_same_graph_gives_the_same_bytes(tmp_path: Path) -> None:
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


# Files that are no wiring


def put(name: str, position: Any, value: Any) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name][position] = value

    return change


def replace(name: str, value: Any) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = value(arrays[name]) if callable(value) else value

    return change


def attribute(name: str, value: Any) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays["attributes"] = np.array(json.dumps(json.loads(arrays["attributes"].item()) | {name: value}))

    return change


def edge(position: int, source: int, target: int) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays["edges.source"][position], arrays["edges.target"][position] = source, target

    return change


def twice(arrays: Arrays) -> None:
    for name in ("source", "target", "id"):
        arrays[f"edges.{name}"][1] = arrays[f"edges.{name}"][0]


MALFORMED = {
    "NaN weight": (put("edges.weight", 2, np.nan), "weight of edge 2 is nan"),
    "infinite weight": (put("edges.weight", 0, np.inf), "weight of edge 0 is inf"),
    "negative id": (put("edges.id", 3, -1), "id of edge 3 is -1; ids of stage 0 run from 0 to 11"),
    "huge id": (
        put("edges.id", 6, 10**15),
        "id of edge 6 is 1000000000000000; ids of stage 1 run from 0 to 5",
    ),
    "another edge's id": (put("edges.id", 0, 1), "id of edge 0 is 1; by its two nodes it must be 0"),
    "edge twice": (twice, "edges 0 and 1 join the same two nodes"),
    "negative node": (put("edges.source", 1, -3), "source of edge 1 is -3; nodes are numbered from 0 to 8"),
    "node too many": (put("edges.target", 1, 9), "target of edge 1 is 9"),
    "backwards": (
        edge(0, 4, 2),
        "edge 0 goes from level 2 to level 1; edges go from a lower to a higher level",
    ),
    "to itself": (edge(0, 2, 2), "edge 0 goes from level 1 to level 1"),
    "skips a stage": (edge(4, 2, 6), r"edge 4 goes from node 2 \(level 1\) to node 6 \(level 3\)"),
    "no weights": (lambda arrays: arrays.pop("edges.weight"), "has no edges.weight"),
    "no kernels": (lambda arrays: arrays.pop("nodes.kernel"), "has no nodes.kernel"),
    "unknown array": (
        lambda arrays: arrays.update(more=np.zeros(3)),
        "array 'more' has no place in a wiring",
    ),
    "too few ids": (replace("edges.id", lambda ids: ids[:-1]), r"edges.id has shape \[6\] instead of \[7\]"),
    "flat kernels": (
        replace("nodes.kernel", np.ravel),
        r"nodes.kernel has shape \[81\] instead of \[9, 3, 3\]",
    ),
    "no dimension": (replace("nodes.level", np.int64(3)), r"nodes.level has shape \[\] instead of"),
    "ids as floats": (
        replace("edges.id", lambda ids: ids.astype(float)),
        "edges.id holds float64 instead of int64",
    ),
    "other byte order": (
        replace("edges.id", lambda ids: ids.astype(">i8")),
        "edges.id holds >i8 instead of int64",
    ),
    "text as weights": (
        replace("edges.weight", lambda w: w.astype(str)),
        "edges.weight holds <U32 instead of float",
    ),
    "objects": (replace("edges.weight", lambda w: w.astype(object)), "is no readable .npz file"),
    "no nodes": (
        lambda arrays: arrays.update({k: v[:0] for k, v in arrays.items() if k[:2] == "no"}),
        "levels do not run",
    ),
    "level missing": (put("nodes.level", slice(6, None), 4), "not numbered level by level"),
    "huge level": (put("nodes.level", 8, 10**12), "levels do not run from 0 on"),
    "levels mixed": (put("nodes.level", 0, 1), "not numbered level by level"),
    "stage gap": (put("nodes.stage", slice(6, None), 2), r"levels are in stages \[-1, 0, 0, 2\]"),
    "stage within a level": (
        put("nodes.stage", 7, 0),
        "stage of node 7 is 0; by its levels, stages and strides it must be 1",
    ),
    "no stride": (put("nodes.stride", 0, 0), "a stride or a resolution is less than 1"),
    "other resolution": (put("nodes.resolution", 6, 5), "resolution of node 6 is 5; .* it must be 4"),
    "channel": (put("nodes.channel", 5, 7), "channel of node 5 is 7"),
    "carry": (put("nodes.carry", 6, 1), "3 readout nodes need as many nodes in the last group"),
    "status": (put("nodes.status", 1, "ill"), "status of node 1 is 'ill'; dead, constant, live are known"),
    "norm": (put("nodes.norm", 1, "layer"), "norm of node 1 is 'layer'; batch, instance, none are known"),
    "norm of an output": (
        put("nodes.norm", 8, "batch"),
        "norm of node 8 is 'batch'; it is none in the last level",
    ),
    "NaN kernel": (put("nodes.kernel", (3, 1, 1), np.nan), "kernel of node 3 is not a finite number"),
    "infinite shift": (put("nodes.shift", 0, -np.inf), "shift of node 0 is not a finite number"),
    "eps": (put("nodes.eps", 0, 0), "eps of node 0 is 0; it must be positive"),
    "scale is another": (
        put("nodes.scale", 2, 7),
        "scale and shift of node 2 are not what its norm_.* arrays give",
    ),
    "half of a norm": (lambda arrays: arrays.pop("nodes.norm_var"), "has nodes.norm_weight but not all of"),
    "negative variance": (put("nodes.norm_var", 0, -1), "norm_var of node 0 does not fit its norm, batch"),
    "newer version": (
        attribute("format_version", 2),
        "format version 2 is newer than 1, .* upgrade dnw-graph",
    ),
    "no version": (attribute("format_version", None), "format_version is None"),
    "true version": (attribute("format_version", True), "format_version is True"),
    "other operation": (attribute("node_operation", "relu"), "node_operation is 'relu'"),
    "no attributes": (lambda arrays: arrays.pop("attributes"), "no graph attributes"),
    "attributes are a list": (replace("attributes", np.array("[1]")), "has no graph attributes"),
    "no JSON": (replace("attributes", np.array("{1")), "attributes are not valid JSON"),
    "deep JSON": (replace("attributes", np.array("[" * 100_000)), "attributes are not valid JSON"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_file_is_refused_in_one_sentence(
    case: str, nine_nodes: WiredNetwork, tmp_path: Path
) -> None:
    change, message = MALFORMED[case]
    dg.save_graph(nine_nodes, tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz") as file:
        arrays = dict(file)
    change(arrays)
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match=message) as caught:
        dg.load_graph(tmp_path / "bad.npz")
    assert str(caught.value).startswith(f"{tmp_path / 'bad.npz'}: ")
    assert "\n" not in str(caught.value)


def header_that_lies() -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        content, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    )
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("edges.weight.npy", content.getvalue())
    return file.getvalue()


def entry_that_lies() -> bytes:
    """A zip whose directory claims a length beyond what anyone should unpack."""
    data = header_that_lies()
    place = data.index(b"PK\x01\x02") + 24
    return data[:place] + (0xFFFFFFF0).to_bytes(4, "little") + data[place + 4 :]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is no readable .npz file"),
        (b"PK\x03\x04 and then nothing", "is no readable .npz file"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "is no readable .npz file"),
        (header_that_lies(), "does not fit its 128 bytes"),
        (entry_that_lies(), "unpacks to 4294967280 bytes, more than a wiring takes"),
    ],
)
def test_file_of_another_kind_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(InputError, match=message):
        dg.load_graph(tmp_path / "w.npz")


def test_truncated_file_is_refused(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    data = npz.to_bytes(graph_of(nine_nodes))
    for length in range(0, len(data), 97):
        with pytest.raises(InputError):
            npz.from_bytes(data[:length], "w.npz")


def test_flipped_bytes_never_surprise(nine_nodes: WiredNetwork) -> None:
    data = npz.to_bytes(graph_of(nine_nodes))
    for position in range(0, len(data), 41):
        broken = bytearray(data)
        broken[position] ^= 0xFF
        try:
            graph = npz.from_bytes(bytes(broken), "w.npz")
        except InputError:
            continue
        # Some bytes of a zip, such as dates, mean nothing.
        assert_same(graph, graph_of(nine_nodes))


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
        dg.save_graph(dense_network(0.25, 10, 32), tmp_path / "w.npz")
    assert list(tmp_path.iterdir()) == []


def test_unusable_graph_is_not_saved(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    with torch.no_grad():
        nine_nodes.candidates(0).parameter[8] = torch.nan
    with pytest.raises(InputError, match="the graph to be saved: weight of edge 2 is nan"):
        dg.save_graph(nine_nodes, tmp_path / "w.npz")
    assert list(tmp_path.iterdir()) == []


# Graphs that do not fit


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            lambda: wired("mobilenet_v1", 1, blocks=((2, 2, 1, 2), (2, 4, 2, 1))),
            r"its levels \(2 \| 2 2 \| 3 nodes, strides",
        ),
        (lambda: wired("tiny_static", 1), "are not those of this tiny_static"),
    ],
)
def test_graph_of_another_network_changes_nothing(
    other: Callable[[], WiredNetwork], message: str, nine_nodes: WiredNetwork
) -> None:
    model = other()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=message):
        model.load_graph(graph_of(nine_nodes))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


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


def test_rule_that_transforms_weights(nine_nodes: WiredNetwork) -> None:
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
