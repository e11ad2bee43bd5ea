"""Files that are no wiring, hostile ones included: one sentence each."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.interchange import Graph, npz
from dnw_graph.interchange.extract import graph_of
from dnw_graph.models.network import WiredNetwork

Arrays = dict[str, Any]
Same = Callable[[Graph, Graph], None]


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


def text_without(text: Any, name: str) -> Any:
    return np.array(json.dumps({key: value for key, value in json.loads(text.item()).items() if key != name}))


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
    "no rule": (
        replace("attributes", lambda text: text_without(text, "rule")),
        "has no graph attribute rule",
    ),
    "network is a number": (attribute("network", 3), "network is 3, which is no text"),
    "unprintable rule": (attribute("rule", "a\x00b"), "rule is 'a.*b'; use printable characters only"),
    "unknown attribute": (attribute("mood", "good"), "graph attribute 'mood' is unknown"),
    "kernel of an output": (put("nodes.kernel", 8, 1.0), "node 8 has a kernel; a node without operation"),
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
        archive.writestr("attributes.npy", content.getvalue())
    return file.getvalue()


def long_attributes() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, attributes=np.array(" " * 5_000_000))
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
        (long_attributes(), "its attributes take 20000128 bytes; no wiring's do"),
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


def test_flipped_bytes_never_surprise(assert_same: Same, nine_nodes: WiredNetwork) -> None:
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
