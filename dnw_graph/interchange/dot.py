"""Small graphs in Graphviz's DOT language, levels as columns. Written only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.interchange.file import write_text
from dnw_graph.interchange.graph import Array, Graph
from dnw_graph.interchange.schema import EDGE_FIELDS, NODE_FIELDS, Field, in_order
from dnw_graph.interchange.text import Report, batches, column, silent, to_json

MAX_EDGES = 2000
"""Graphviz's `dot` orders nodes so that few edges cross, which takes minutes beyond some thousand edges."""


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a graph that is too large, or a place that cannot be written."""
    if graph.num_edges > MAX_EDGES or graph.num_nodes > MAX_EDGES:
        raise InputError(
            f"{path}: Graphviz cannot lay out {graph.num_nodes:,} nodes and {graph.num_edges:,} edges in "
            f"reasonable time, so DOT takes at most {MAX_EDGES:,} of each; choose one stage or a threshold, "
            "or write GEXF or GraphML"
        )
    write_text(path, generate(graph, report))


def generate(graph: Graph, report: Report = silent) -> Iterator[str]:
    """The file's text, piece by piece."""
    yield "digraph wiring {\nrankdir=LR;\n"
    for name, value in in_order(graph.attributes):
        yield f"{name}={_quoted(value if isinstance(value, str) else to_json(value))};\n"
    ids = [str(number) for number in graph.numbers.tolist()]
    nodes = [_attributes(field, graph.nodes[field.name]) for field in NODE_FIELDS]
    yield from batches(
        lambda number, *given: f"{number} [{', '.join(filter(None, given))}];\n", [ids, *nodes], report
    )
    level = graph.nodes["level"]
    for index in np.unique(level).tolist():
        members = " ".join(f"{ids[row]};" for row in np.flatnonzero(level == index))
        yield f"{{rank=same; {members}}}\n"
    ends = [map(str, graph.numbers[graph.edges[end]].tolist()) for end in ("source", "target")]
    edges = [_attributes(field, graph.edges[field.name]) for field in EDGE_FIELDS]
    yield from batches(
        lambda source, target, *given: f"{source} -> {target} [{', '.join(given)}];\n",
        [*ends, *edges],
        report,
    )
    yield "}\n"


def _attributes(field: Field, values: Array) -> Iterator[str]:
    return (f'{field.name}="{text}"' if text else "" for text in column(field, values))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
