"""Graphs as node-link JSON, which networkx, d3 and every programming language read.

One object: `graph` (the attributes), `nodes` (each with its number as `id`), `edges` (`source`, `target`,
`weight`, `id`); `types` names the floating-point type of each number. A kernel is a list of nine numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

from dnw_graph.errors import InputError
from dnw_graph.interchange.file import read_text, write_text
from dnw_graph.interchange.records import Records, check_size, to_graph
from dnw_graph.interchange.text import Report, batches, column, float_types, from_json, silent, to_json
from dnw_graph.portable.graph import Array, Graph
from dnw_graph.portable.schema import ATTRIBUTES, EDGE_FIELDS, ENDS, NODE_FIELDS, Field

# A bound on the memory that a hostile file can cause: an edge has five commas and braces, a node 22.
MAX_VALUES = 12_000_000


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a place that cannot be written."""
    write_text(path, generate(graph, report))


def read(path: Path) -> Graph:
    """Raises InputError for a file that is missing, damaged, no wiring, or written by a newer version."""
    where, text = str(path), read_text(path)
    if sum(text.count(mark) for mark in ",[{") > MAX_VALUES:
        raise InputError(f"{where}: has more than {MAX_VALUES} values, the most that is read; use .npz")
    return to_graph(_records(from_json(text, where, "it is"), where), where)


# Writing


def generate(graph: Graph, report: Report = silent) -> Iterator[str]:
    """The file's text, piece by piece."""
    types = float_types(NODE_FIELDS, graph.nodes) | float_types(EDGE_FIELDS, graph.edges)
    yield f'{{"directed": true, "multigraph": false,\n"graph": {to_json(graph.attributes)},\n'
    yield f'"types": {to_json(types)},\n"nodes": [\n'
    nodes = [_members(field, graph.nodes[field.name]) for field in NODE_FIELDS]
    ids = map(str, graph.numbers.tolist())
    yield from batches(
        lambda number, *members: f'{{"id": {number}{"".join(members)}}}', [ids, *nodes], report, ",\n"
    )
    yield '\n],\n"edges": [\n'
    ends = [map(str, graph.numbers[graph.edges[end]].tolist()) for end in ("source", "target")]
    edges = [_members(field, graph.edges[field.name]) for field in EDGE_FIELDS]
    yield from batches(
        lambda source, target, *members: f'{{"source": {source}, "target": {target}{"".join(members)}}}',
        [*ends, *edges],
        report,
        ",\n",
    )
    yield "\n]}\n"


def _members(field: Field, values: Array) -> Iterator[str]:
    before, after = {"name": ('"', '"'), "kernel": ("[", "]")}.get(field.kind, ("", ""))
    texts = column(field, values, ", ")
    return (f', "{field.name}": {before}{text}{after}' if text else "" for text in texts)


# Reading


def _records(data: Any, where: str) -> Records:
    if not isinstance(data, dict):
        raise InputError(f"{where}: is a JSON {type(data).__name__}, not a graph; {_WANTED}")
    # Older versions of networkx, and d3, call the edges links.
    nodes, edges = data.get("nodes"), data.get("edges", data.get("links"))
    if not (_are_objects(nodes) and _are_objects(edges)):
        raise InputError(f"{where}: has no lists of nodes and edges; {_WANTED}")
    if data.get("directed") is not True:
        raise InputError(f"{where}: its edges have no direction (directed); a wiring is directed")
    check_size(len(nodes), len(edges), where)
    attributes, types = data.get("graph"), data.get("types", {})
    if isinstance(attributes, dict):
        attributes = {name: value for name, value in attributes.items() if name in ATTRIBUTES}
    return Records(
        attributes,
        ids=[node.get("id") for node in nodes],
        nodes={field.name: [node.get(field.name) for node in nodes] for field in NODE_FIELDS},
        edges={field.name: [edge.get(field.name) for edge in edges] for field in (*ENDS, *EDGE_FIELDS)},
        types=types if isinstance(types, dict) else {},
    )


_WANTED = "give node-link JSON that dnw-graph wrote"


def _are_objects(items: Any) -> TypeGuard[list[dict[str, Any]]]:
    return isinstance(items, list) and all(isinstance(item, dict) for item in items)
