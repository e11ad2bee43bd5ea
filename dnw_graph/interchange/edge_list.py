"""Graphs as an edge list in CSV, which spreadsheets, pandas, R and Cytoscape read, with two files beside it.

w.csv        source,target,weight,id: one line per edge
w.nodes.csv  id,level,…,kernel: one line per node; a kernel is nine numbers with spaces between
w.graph.json the graph's attributes, the number of nodes and edges, and the floating-point type of each number
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dnw_graph.errors import InputError
from dnw_graph.interchange.file import MAX_TEXT_BYTES, read_chunks, read_text, write_files
from dnw_graph.interchange.graph import Graph
from dnw_graph.interchange.records import Records, check_size, to_graph
from dnw_graph.interchange.schema import EDGE_FIELDS, ENDS, NODE_FIELDS
from dnw_graph.interchange.text import Report, batches, column, float_types, from_json, silent, to_json

# Bounds on the work that a hostile file can cause; a node's line has about 300 characters.
_MAX_LINE = 1 << 16
_MAX_COLUMNS = 100


def files_of(path: Path) -> tuple[Path, Path, Path]:
    """(edges, nodes, attributes): the three files of the graph at `path`."""
    return path, path.with_name(f"{path.stem}.nodes.csv"), path.with_name(f"{path.stem}.graph.json")


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a place that cannot be written."""
    edges, nodes, attributes = files_of(path)
    write_files(
        {
            attributes: (text.encode() for text in [generate_attributes(graph)]),
            nodes: (text.encode() for text in generate_nodes(graph, report)),
            edges: (text.encode() for text in generate(graph, report)),
        }
    )


def read(path: Path) -> Graph:
    """Raises InputError for a file that is missing, damaged, no wiring, or written by a newer version."""
    where, (edges, nodes, attributes) = str(path), files_of(path)
    # The file that was asked for is the first to be missed.
    next(read_chunks(edges, MAX_TEXT_BYTES), b"")
    for beside in (nodes, attributes):
        if not beside.exists():
            raise InputError(f"{where}: {beside.name} is missing next to it; keep the three files together")
    about = from_json(read_text(attributes), str(attributes), "it is")
    if not isinstance(about, dict) or not isinstance(about.get("types", {}), dict):
        raise InputError(f"{attributes}: is no description of a graph; give the file that dnw-graph wrote")
    edge_columns = _columns(edges, [field.name for field in (*ENDS, *EDGE_FIELDS)])
    node_columns = _columns(nodes, ["id", *(field.name for field in NODE_FIELDS)])
    ids = node_columns.pop("id")
    for name, file, found in (("nodes", nodes, ids), ("edges", edges, edge_columns["source"])):
        if about.get(name) != len(found):
            raise InputError(
                f"{file}: has {len(found)} {name}, but {attributes.name} says {about.get(name)!r:.20}; it "
                "was cut off or belongs to another graph"
            )
    records = Records(about.get("attributes"), ids, node_columns, edge_columns, about.get("types", {}))
    return to_graph(records, where)


# Writing


def generate(graph: Graph, report: Report = silent) -> Iterator[str]:
    """The edges' file, piece by piece."""
    yield ",".join(field.name for field in (*ENDS, *EDGE_FIELDS)) + "\n"
    ends = [map(str, graph.numbers[graph.edges[end.name]].tolist()) for end in ENDS]
    columns = [column(field, graph.edges[field.name]) for field in EDGE_FIELDS]
    yield from batches(_line, [*ends, *columns], report)


def generate_nodes(graph: Graph, report: Report = silent) -> Iterator[str]:
    """The nodes' file, piece by piece."""
    yield ",".join(["id", *(field.name for field in NODE_FIELDS)]) + "\n"
    columns = [column(field, graph.nodes[field.name]) for field in NODE_FIELDS]
    yield from batches(_line, [map(str, graph.numbers.tolist()), *columns], report)


def generate_attributes(graph: Graph) -> str:
    """The file of all that is said once."""
    types = float_types(NODE_FIELDS, graph.nodes) | float_types(EDGE_FIELDS, graph.edges)
    lines = {
        "attributes": graph.attributes,
        "edges": graph.num_edges,
        "nodes": graph.num_nodes,
        "types": types,
    }
    return "{" + ",\n".join(f'"{name}": {to_json(value)}' for name, value in lines.items()) + "}\n"


def _line(*cells: str) -> str:
    # No cell holds a comma, a quote or the end of a line.
    return ",".join(cells) + "\n"


# Reading


def _columns(path: Path, wanted: Sequence[str]) -> dict[str, list[Any]]:
    """Name → one text per line, None where the cell is empty. Columns that nobody wants are left out."""
    lines = _lines(path, read_text(path))
    header = next(lines, [])
    if len(header) > _MAX_COLUMNS or len(set(header)) < len(header):
        _refuse(path, f"has more than {_MAX_COLUMNS} columns, or two of one name")
    if missing := [name for name in wanted if name not in header]:
        _refuse(path, f"has no column {missing[0]}; its first line must name {','.join(wanted)}")
    columns: dict[str, list[Any]] = {name: [] for name in wanted}
    places = [(columns[name], header.index(name)) for name in wanted]
    for number, cells in enumerate(lines, start=2):
        if len(cells) != len(header):
            _refuse(path, f"line {number} has {len(cells)} columns instead of {len(header)}")
        for values, place in places:
            values.append(cells[place] or None)
        check_size(number - 1 if "level" in wanted else 0, number - 1, str(path))
    return columns


def _lines(path: Path, text: str) -> Iterator[list[str]]:
    """Cells of each line. No cell goes on in the next line."""
    start, number = 0, 0
    while start < len(text):
        number += 1
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        if end - start > _MAX_LINE:
            _refuse(path, f"line {number} has more than {_MAX_LINE} characters; no wiring has")
        try:
            yield next(csv.reader([text[start:end]], strict=True), [])
        except csv.Error as error:
            _refuse(path, f"line {number} is no CSV ({error}); it is damaged or of another kind")
        start = end + 1


def _refuse(path: Path, what: str) -> NoReturn:
    raise InputError(f"{path}: {what}")
