"""Is a graph from a file a wiring? Files come from anywhere, so nothing is taken for granted."""

from __future__ import annotations

from itertools import pairwise
from typing import NoReturn

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout, Stage, chain_of_stages, groups_with_readout
from dnw_graph.graph.status import STATUS_NAMES
from dnw_graph.interchange.graph import FORMAT_VERSION, NODE_OPERATION, RAW_NORM, Array, Graph, fold

# A bound on the work that a hostile file can cause.
MAX_LEVELS = 1000

NORMS = ("batch", "instance", "none")

# Name of an array → what it holds, and the shape of one node's or edge's entry.
Contents = dict[str, tuple[str, tuple[int, ...]]]
_INTEGER: tuple[str, tuple[int, ...]] = ("int64", ())
_FLOAT: tuple[str, tuple[int, ...]] = ("float32 or float64", ())
_TEXT: tuple[str, tuple[int, ...]] = ("text", ())
NODE_ARRAYS: Contents = {
    **dict.fromkeys(("level", "channel", "stage", "resolution", "stride", "carry"), _INTEGER),
    **dict.fromkeys(("status", "norm"), _TEXT),
    **dict.fromkeys(("scale", "shift", "eps"), _FLOAT),
    "kernel": ("float32 or float64", (3, 3)),
}
_CONTENT = {"i8": "int64", "f4": "float32 or float64", "f8": "float32 or float64", "text": "text"}
RAW_ARRAYS: Contents = dict.fromkeys(RAW_NORM, _FLOAT)
EDGE_ARRAYS: Contents = {**dict.fromkeys(("source", "target", "id"), _INTEGER), "weight": _FLOAT}


def check_graph(graph: Graph, where: str) -> Layout:
    """The layout that a graph is a wiring of. Raises InputError, naming `where`, if it is none."""
    check_attributes(graph.attributes, where)
    _check_arrays(graph, where)
    layout = layout_of(graph, where)
    _check_operations(graph, layout, where)
    _check_edges(graph, layout, where)
    return layout


def check_attributes(attributes: object, where: str) -> None:
    """Refuse what was written by a newer version, or is no description of a graph."""
    if not isinstance(attributes, dict):
        _refuse(where, "has no graph attributes; give a file that dnw-graph wrote")
    version = attributes.get("format_version")
    if type(version) is not int or version < 1:
        _refuse(
            where, f"format_version is {version!r}, not a positive number; give a file that dnw-graph wrote"
        )
    if version > FORMAT_VERSION:
        newest = f"{FORMAT_VERSION}, the newest that this dnw-graph reads"
        _refuse(where, f"format version {version} is newer than {newest}; upgrade dnw-graph")
    if attributes.get("node_operation") != NODE_OPERATION:
        found = attributes.get("node_operation")
        _refuse(where, f"node_operation is {found!r}; this dnw-graph knows {NODE_OPERATION!r} only")


def layout_of(graph: Graph, where: str) -> Layout:
    """Levels and stages, rebuilt from the nodes' arrays. Raises InputError if they contradict each other."""
    nodes = graph.nodes
    level, count = nodes["level"], graph.num_nodes
    if not count or level.min() < 0 or level.max() >= count:
        _refuse(where, "the nodes' levels do not run from 0 on; number nodes level by level")
    sizes = np.bincount(level).tolist()
    if len(sizes) > MAX_LEVELS:
        _refuse(where, f"has {len(sizes)} levels; no network here has more than {MAX_LEVELS}")
    if len(sizes) < 2 or 0 in sizes or not np.array_equal(level, np.repeat(np.arange(len(sizes)), sizes)):
        _refuse(where, "nodes are not numbered level by level, from level 0 on")
    if nodes["stride"].min() < 1 or nodes["resolution"].min() < 1:
        _refuse(where, "a stride or a resolution is less than 1")
    firsts = np.cumsum([0, *sizes[:-1]])
    stages, strides = nodes["stage"][firsts].tolist(), nodes["stride"][firsts].tolist()
    steps = [after - before for before, after in pairwise(stages)]
    if stages[0] != -1 or steps[0] != 1 or not set(steps) <= {0, 1}:
        _refuse(where, f"levels are in stages {stages}; -1 comes first, then 0, 1, … without gaps")
    carried = bool((nodes["carry"] >= 0).any())
    layout = _with_readout(sizes, where) if carried else _chain(sizes, stages, strides, where)
    expected = {
        "channel": np.concatenate([np.arange(size) for size in sizes]),
        "stage": layout.per_node([each.stage for each in layout.levels]),
        "stride": layout.per_node([each.stride for each in layout.levels]),
        "resolution": layout.per_node(layout.resolutions(int(nodes["resolution"][0]))),
        "carry": layout.carried_from(),
    }
    for name, values in expected.items():
        if (node := _first(nodes[name] != values)) is not None:
            found = f"{name} of node {node} is {nodes[name][node]}"
            _refuse(where, f"{found}; by its levels, stages and strides it must be {values[node]}")
    return layout


def _with_readout(sizes: list[int], where: str) -> Layout:
    try:
        return groups_with_readout(sizes[:-1], sizes[-1])
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _chain(sizes: list[int], stages: list[int], strides: list[int], where: str) -> Layout:
    table = []
    for stage in range(stages[-1] + 1):
        first = stages.index(stage)
        members = sizes[first : first + stages.count(stage)]
        if len(set(members)) > 1:
            _refuse(where, f"levels of stage {stage} have {members} nodes; they must be of one size")
        table.append((sizes[first - 1], members[0], strides[first - 1], len(members)))
    return chain_of_stages(table)


def _check_arrays(graph: Graph, where: str) -> None:
    _check_table("nodes", graph.nodes, NODE_ARRAYS, RAW_ARRAYS, where)
    _check_table("edges", graph.edges, EDGE_ARRAYS, {}, where)


def _check_table(
    table: str, arrays: dict[str, Array], required: Contents, optional: Contents, where: str
) -> None:
    if missing := [name for name in required if name not in arrays]:
        _refuse(where, f"has no {table}.{missing[0]}; give a whole graph, as dnw-graph writes it")
    length = len(arrays[next(iter(required))]) if arrays[next(iter(required))].ndim else 0
    for name, (content, entry) in {**required, **optional}.items():
        if name not in arrays:
            continue
        array = arrays[name]
        if array.shape != (length, *entry):
            _refuse(where, f"{table}.{name} has shape {list(array.shape)} instead of {[length, *entry]}")
        kind = "text" if array.dtype.kind == "U" else array.dtype.str[1:] if array.dtype.isnative else "?"
        if _CONTENT.get(kind) != content:
            _refuse(where, f"{table}.{name} holds {array.dtype} instead of {content}")


def _check_operations(graph: Graph, layout: Layout, where: str) -> None:
    nodes = graph.nodes
    for name, known in (("status", STATUS_NAMES), ("norm", NORMS)):
        if (node := _first(~np.isin(nodes[name], known))) is not None:
            _refuse(
                where, f"{name} of node {node} is {str(nodes[name][node])!r}; {', '.join(known)} are known"
            )
    sends = layout.per_node([level.sends for level in layout.levels]).astype(bool)
    if (node := _first((nodes["norm"] != "none") != sends)) is not None:
        found = f"norm of node {node} is {str(nodes['norm'][node])!r}"
        _refuse(where, f"{found}; it is none in the last level, and only there")
    for name in ("scale", "shift", "eps", "kernel"):
        values = nodes[name].reshape(len(sends), -1)
        if (node := _first(sends & ~np.isfinite(values).all(axis=1))) is not None:
            _refuse(where, f"{name} of node {node} is not a finite number")
    if (node := _first(sends & ~(nodes["eps"] > 0))) is not None:
        _refuse(where, f"eps of node {node} is {nodes['eps'][node]:g}; it must be positive")
    _check_raw_norms(graph, sends, where)


def _check_raw_norms(graph: Graph, sends: Array, where: str) -> None:
    """A file that says scale and shift twice must mean the same."""
    nodes = graph.nodes
    present = [name for name in RAW_NORM if name in nodes]
    if not present:
        return
    if len(present) < len(RAW_NORM):
        _refuse(where, f"has nodes.{present[0]} but not all of {', '.join(RAW_NORM)}; give all four or none")
    batch = nodes["norm"] == "batch"
    measured = np.isfinite(nodes["norm_mean"]) & np.isfinite(nodes["norm_var"]) & (nodes["norm_var"] >= 0)
    if (node := _first(sends & (batch != measured))) is not None:
        _refuse(where, f"norm_mean or norm_var of node {node} does not fit its norm, {nodes['norm'][node]}")
    with np.errstate(all="ignore"):
        scale, shift = fold({name: nodes[name] for name in RAW_NORM}, nodes["eps"])
        same = np.isclose(scale, nodes["scale"], rtol=1e-9, atol=0)
        same &= np.isclose(shift, nodes["shift"], rtol=1e-9)
    if (node := _first(sends & ~same)) is not None:
        found = f"scale and shift of node {node} are not what its norm_* arrays give"
        _refuse(where, f"{found}; change both, or drop norm_*")


def _check_edges(graph: Graph, layout: Layout, where: str) -> None:
    nodes, edges = graph.nodes, graph.edges
    source, target = edges["source"], edges["target"]
    for name in ("source", "target"):
        if (edge := _first((edges[name] < 0) | (edges[name] >= graph.num_nodes))) is not None:
            found = f"{name} of edge {edge} is {edges[name][edge]}"
            _refuse(where, f"{found}; nodes are numbered from 0 to {graph.num_nodes - 1}")
    if (edge := _first(~np.isfinite(edges["weight"]))) is not None:
        _refuse(where, f"weight of edge {edge} is {edges['weight'][edge]}; a wiring's weights are finite")
    level = nodes["level"]
    if (edge := _first(level[source] >= level[target])) is not None:
        ends = f"level {level[source[edge]]} to level {level[target[edge]]}"
        _refuse(where, f"edge {edge} goes from {ends}; edges go from a lower to a higher level")
    for number, stage in enumerate(layout.stages):
        _check_ids(graph, stage, np.flatnonzero(graph.edge_stage == number), where)


def _check_ids(graph: Graph, stage: Stage, mine: Array, where: str) -> None:
    """mine  [e]: the edges of the stage"""
    source, target, found = (graph.edges[name][mine] for name in ("source", "target", "id"))
    last = stage.num_candidates - 1
    if (first := _first((found < 0) | (found > last))) is not None:
        text = f"id of edge {mine[first]} is {found[first]}"
        _refuse(where, f"{text}; ids of stage {stage.index} run from 0 to {last}")
    right = stage.ids(source, target)
    if (first := _first(right < 0)) is not None:
        levels = graph.nodes["level"][[source[first], target[first]]]
        ends = f"node {source[first]} (level {levels[0]}) to node {target[first]} (level {levels[1]})"
        _refuse(where, f"edge {mine[first]} goes from {ends}; edges never leave or skip a stage")
    if (first := _first(right != found)) is not None:
        text = f"id of edge {mine[first]} is {found[first]}"
        _refuse(where, f"{text}; by its two nodes it must be {right[first]}")
    order = np.argsort(found, kind="stable")
    if (first := _first(np.diff(found[order]) == 0)) is not None:
        pair = f"edges {mine[order[first]]} and {mine[order[first + 1]]}"
        _refuse(where, f"{pair} join the same two nodes; give each edge once")


def _first(wrong: Array) -> int | None:
    """Position of the first True in a bool vector, if any."""
    return int(np.argmax(wrong)) if wrong.any() else None


def _refuse(where: str, what: str) -> NoReturn:
    raise InputError(f"{where}: {what}")
