"""Is a graph from a file a wiring? Files come from anywhere, so nothing is taken for granted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout, Stage
from dnw_graph.portable.graph import Array, Graph, fold
from dnw_graph.portable.levels import whole_layout
from dnw_graph.portable.part import check_part
from dnw_graph.portable.schema import (
    ATTRIBUTES,
    DYNAMIC_ORDERS,
    EDGE_FIELDS,
    ENDS,
    FORMAT_VERSION,
    NODE_FIELDS,
    NUMBER_FIELD,
    RAW_FIELDS,
    RAW_NORM,
    REQUIRED_ATTRIBUTES,
    STATIC_ORDERS,
    Field,
)

_CONTENT = {"i8": "int64", "f4": "float32 or float64", "f8": "float32 or float64", "text": "text"}
_WANTED = {"integer": "int64", "number": "float32 or float64", "kernel": "float32 or float64", "name": "text"}


def check_graph(graph: Graph, where: str, *, allow_part: bool = False) -> Layout:
    """The layout that a graph is a wiring of. Raises InputError, naming `where`, if it is none.

    allow_part  nodes may have been left out; the layout is that of the whole wiring all the same
    """
    check_attributes(graph.attributes, where)
    _check_table("nodes", graph.nodes, NODE_FIELDS, (*RAW_FIELDS, NUMBER_FIELD), where)
    _check_table("edges", graph.edges, (*ENDS, *EDGE_FIELDS), (), where)
    check_part(graph, where)
    layout = layout_of(graph, where, allow_part=allow_part)
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
    if missing := [name for name in REQUIRED_ATTRIBUTES if name not in attributes]:
        _refuse(where, f"has no graph attribute {missing[0]}; give a file that dnw-graph wrote")
    for name, value in attributes.items():
        if name not in ATTRIBUTES:
            _refuse(where, f"graph attribute {name!r} is unknown; {', '.join(ATTRIBUTES)} are known")
        if type(value) is not ATTRIBUTES[name]:
            _refuse(where, f"{name} is {value!r:.60}, which is no {_KINDS[ATTRIBUTES[name]]}")
        if isinstance(value, str) and not value.isprintable():
            _refuse(where, f"{name} is {value!r:.60}; use printable characters only")
    known = DYNAMIC_ORDERS if "evaluations" in attributes else STATIC_ORDERS
    if (found := attributes["node_operation"]) not in known:
        _refuse(where, f"node_operation is {found!r:.60}; this dnw-graph knows {', '.join(map(repr, known))}")
    try:
        json.dumps(attributes, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        _refuse(where, f"its graph attributes are no plain values ({error}); use text, numbers and lists")


_KINDS = {int: "whole number", str: "text", list: "list", dict: "mapping"}


def layout_of(graph: Graph, where: str, *, allow_part: bool = False) -> Layout:
    """Levels and stages, rebuilt from the nodes' arrays. Raises InputError if they contradict each other,
    or if nodes were left out and `allow_part` is false.
    """
    nodes, part = graph.nodes, graph.attributes.get("part", {})
    if "number" in nodes and not allow_part:
        _refuse(where, "holds a part of a wiring only; export it without leaving nodes out")
    layout, side = whole_layout(graph, where)
    numbers = graph.numbers
    if "levels" in part:
        if (row := _first((numbers < 0) | (numbers >= layout.num_nodes))) is not None:
            found = f"the number of node {row} is {numbers[row]}"
            _refuse(where, f"{found}; nodes are numbered from 0 to {layout.num_nodes - 1}")
        if (row := _first(np.diff(numbers) <= 0)) is not None:
            _refuse(where, f"node {numbers[row + 1]} follows node {numbers[row]}; give each once, ascending")
    expected = {
        "level": layout.per_node([each.index for each in layout.levels]),
        "channel": np.concatenate([np.arange(level.size) for level in layout.levels]),
        "stage": layout.per_node([each.stage for each in layout.levels]),
        "stride": layout.per_node([each.stride for each in layout.levels]),
        "resolution": layout.per_node(layout.resolutions(side)),
        "carry": layout.carried_from(),
    }
    for name, values in expected.items():
        if (row := _first(nodes[name] != values[numbers])) is not None:
            node = numbers[row]
            found = f"{name} of node {node} is {nodes[name][row]}"
            _refuse(where, f"{found}; by its levels, stages and strides it must be {values[node]}")
    return layout


def _check_table(
    table: str,
    arrays: dict[str, Array],
    required: Sequence[Field],
    optional: Sequence[Field],
    where: str,
) -> None:
    if missing := [field.name for field in required if field.name not in arrays]:
        _refuse(where, f"has no {table}.{missing[0]}; give a whole graph, as dnw-graph writes it")
    first = arrays[required[0].name]
    length = len(first) if first.ndim else 0
    for field in (*required, *optional):
        if field.name not in arrays:
            continue
        array = arrays[field.name]
        wanted = (length, *field.shape)
        if array.shape != wanted:
            _refuse(where, f"{table}.{field.name} has shape {list(array.shape)} instead of {list(wanted)}")
        kind = "text" if array.dtype.kind == "U" else array.dtype.str[1:] if array.dtype.isnative else "?"
        if _CONTENT.get(kind) != _WANTED[field.kind]:
            _refuse(where, f"{table}.{field.name} holds {array.dtype} instead of {_WANTED[field.kind]}")


def _check_operations(graph: Graph, layout: Layout, where: str) -> None:
    nodes, numbers = graph.nodes, graph.numbers
    for field in NODE_FIELDS:
        if field.kind == "name" and (row := _first(~np.isin(nodes[field.name], field.known))) is not None:
            found = f"{field.name} of node {numbers[row]} is {str(nodes[field.name][row])!r:.60}"
            _refuse(where, f"{found}; {', '.join(field.known)} are known")
    sends = layout.per_node([level.sends for level in layout.levels]).astype(bool)[numbers]
    # A dynamic network normalises after the messages: the states of its last level.
    normed = sends if layout.evaluations is None else ~sends
    if (row := _first((nodes["norm"] != "none") != normed)) is not None:
        found = f"norm of node {numbers[row]} is {str(nodes['norm'][row])!r}"
        last = "last" if layout.evaluations is None else "first"
        _refuse(where, f"{found}; it is none in the {last} level, and only there")
    for field in NODE_FIELDS:
        if not field.has_float_type:
            continue
        values, has = nodes[field.name], sends if field.kind == "kernel" else normed
        inner = tuple(range(1, values.ndim))
        if (row := _first(has & ~np.isfinite(values).all(axis=inner))) is not None:
            _refuse(where, f"{field.name} of node {numbers[row]} is not a finite number")
        if (row := _first(~has & ~np.isnan(values).all(axis=inner))) is not None:
            found = f"node {numbers[row]} has a {field.name}"
            without = "operation (norm none)" if layout.evaluations is None else "one"
            _refuse(where, f"{found}; a node without {without} has none")
    if (row := _first(normed & ~(nodes["eps"] > 0))) is not None:
        _refuse(where, f"eps of node {numbers[row]} is {nodes['eps'][row]:g}; it must be positive")
    _check_raw_norms(graph, normed, where)


def _check_raw_norms(graph: Graph, sends: Array, where: str) -> None:
    """A file that says scale and shift twice must mean the same."""
    nodes, numbers = graph.nodes, graph.numbers
    present = [name for name in RAW_NORM if name in nodes]
    if not present:
        return
    if len(present) < len(RAW_NORM):
        _refuse(where, f"has nodes.{present[0]} but not all of {', '.join(RAW_NORM)}; give all four or none")
    batch = nodes["norm"] == "batch"
    measured = np.isfinite(nodes["norm_mean"]) & np.isfinite(nodes["norm_var"]) & (nodes["norm_var"] >= 0)
    if (row := _first(sends & (batch != measured))) is not None:
        node, norm = numbers[row], nodes["norm"][row]
        _refuse(where, f"norm_mean or norm_var of node {node} does not fit its norm, {norm}")
    with np.errstate(all="ignore"):
        scale, shift = fold({name: nodes[name] for name in RAW_NORM}, nodes["eps"])
        same = np.isclose(scale, nodes["scale"], rtol=1e-9, atol=0)
        same &= np.isclose(shift, nodes["shift"], rtol=1e-9)
    if (row := _first(sends & ~same)) is not None:
        found = f"scale and shift of node {numbers[row]} are not what its norm_* arrays give"
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
    numbers, found = graph.numbers, graph.edges["id"][mine]
    source, target = (numbers[graph.edges[name][mine]] for name in ("source", "target"))
    last = stage.num_candidates - 1
    if (first := _first((found < 0) | (found > last))) is not None:
        text = f"id of edge {mine[first]} is {found[first]}"
        _refuse(where, f"{text}; ids of stage {stage.index} run from 0 to {last}")
    right = stage.ids(source, target)
    if (first := _first(right < 0)) is not None:
        levels = graph.nodes["level"][[graph.edges[name][mine[first]] for name in ("source", "target")]]
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
