"""JSON that is no wiring, hostile files included: one sentence each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import dnw_graph as dg
from dnw_graph.interchange import node_link
from dnw_graph.models.network import WiredNetwork

Refused = Callable[[Path, bytes | str, str], None]
HUGE = {"nodes": 10**9, "stage": 0, "stride": 1, "resolution": 8}

Change = Callable[[Any], Any]


def put(*path: Any) -> Change:
    """put("edges", 0, "id", 7) sets data["edges"][0]["id"] = 7."""

    def change(data: Any) -> Any:
        inside = data
        for key in path[:-2]:
            inside = inside[key]
        inside[path[-2]] = path[-1]
        return data

    return change


def drop(table: str, name: str) -> Change:
    def change(data: Any) -> Any:
        for record in data[table]:
            record.pop(name, None)
        return data

    return change


JSON = {
    "NaN weight": (put("edges", 2, "weight", float("nan")), "weight of edge 2 is nan"),
    "huge weight": (put("edges", 2, "weight", 10**400), "weight of edge 2 is 1000.*, not a number"),
    "true weight": (put("edges", 2, "weight", True), "weight of edge 2 is True, not a number"),
    "list as weight": (put("edges", 2, "weight", [1]), r"weight of edge 2 is \[1\], not a number"),
    "negative id": (put("edges", 2, "id", -1), "id of edge 2 is -1; ids of stage 0 run from 0 to 11"),
    "huge id": (put("edges", 2, "id", 10**30), "id of edge 2 is 1000.*, not a whole number of 64 bits"),
    "float id": (put("edges", 2, "id", 8.0), "id of edge 2 is 8.0, not a whole number"),
    "end that is not there": (put("edges", 2, "target", 77), "target of edge 2 is 77, which is no node"),
    "edge twice": (lambda data: put("edges", 1, data["edges"][0])(data), "edges 0 and 1 join the same two"),
    "cycle": (put("edges", 0, {"source": 2, "target": 0, "weight": 1, "id": 0}), "from level 1 to level 0"),
    "weights missing": (drop("edges", "weight"), "has no edges.weight"),
    "sources missing": (drop("edges", "source"), "has no edges.source"),
    "kernels missing": (drop("nodes", "kernel"), "has no nodes.kernel"),
    "ids missing": (drop("nodes", "id"), "id of node 0 is missing"),
    "short kernel": (put("nodes", 3, "kernel", [1, 2]), r"kernel of node 3 is \[1, 2\], not nine numbers"),
    "null in kernel": (put("nodes", 3, "kernel", [None] * 9), "kernel of node 3 is not a finite number"),
    "square kernel": (put("nodes", 3, "kernel", [[1] * 3] * 3), "kernel of node 3 is .*, not nine numbers"),
    "node twice": (put("nodes", 3, "id", 2), "node 2 is there twice"),
    "list as status": (put("nodes", 3, "status", ["live"]), r"status of node 3 is \['live'\]; dead"),
    "unknown type": (put("types", "weight", "float16"), "weight is of type 'float16'; float32 and float64"),
    "weight too large for its type": (put("edges", 0, "weight", 1e300), "weight of edge 0 is inf"),
    "newer version": (put("graph", "format_version", 2), "format version 2 is newer than 1"),
    "no attributes": (put("graph", None), "has no graph attributes"),
    "no nodes": (put("nodes", []), "source of edge 0 is 0, which is no node of this graph"),
    "no list of edges": (put("edges", {"0": 1}), "has no lists of nodes and edges"),
    "numbers as nodes": (put("nodes", [1, 2]), "has no lists of nodes and edges"),
    "undirected": (put("directed", False), "its edges have no direction"),
    "a list": (lambda data: [data], "is a JSON list, not a graph"),
    "a number": (lambda data: 7, "is a JSON int, not a graph"),
    "part without levels": (
        put("graph", "part", {"stage": 1, "mood": 3}),
        "part.mood is 3; stage, threshold",
    ),
    "part with odd levels": (put("graph", "part", {"levels": [3]}), r"part.levels\[0\] is not made of nodes"),
    "part with huge levels": (
        put("graph", "part", {"levels": [HUGE | {"stage": -1}, HUGE]}),
        "has 2000000000 nodes; at most 200000 are read",
    ),
}


@pytest.mark.parametrize("case", JSON)
def test_json_is_refused_in_one_sentence(
    case: str, nine_nodes: WiredNetwork, refused: Refused, tmp_path: Path
) -> None:
    change, message = JSON[case]
    dg.save_graph(nine_nodes, tmp_path / "w.json")
    data = change(json.loads((tmp_path / "w.json").read_text()))
    refused(tmp_path / "w.json", json.dumps(data), message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is not valid JSON"),
        (b"[" * 1_000_000, r"nested too deep|not valid JSON"),
        (b'{"a":' * 200_000, "nested too deep"),
        (b"[" + b"9" * 10_000 + b"]", "it is not valid JSON"),
        (b"\xff\xfe\x00", "is no text in UTF-8"),
    ],
    ids=["empty", "brackets", "braces", "digits", "bytes"],
)
def test_text_that_is_no_json(content: bytes, message: str, refused: Refused, tmp_path: Path) -> None:
    refused(tmp_path / "w.json", content, message)


def test_more_values_than_a_wiring_has_are_not_parsed(
    refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_link, "MAX_VALUES", 100)
    refused(
        tmp_path / "w.json",
        f"[{'{},' * 51}{{}}]",
        "has more than 100 values, the most that is read; use .npz",
    )


def test_values_of_json_are_counted_with_room(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    """The largest published wiring, 753,816 edges, stays far below the limit."""
    dg.save_graph(nine_nodes, tmp_path / "w.json")
    text = (tmp_path / "w.json").read_text()
    start = text.index('"edges"')
    per_edge = sum(text[start:].count(mark) for mark in ",[{") / 7
    assert 753_816 * per_edge < node_link.MAX_VALUES / 2
