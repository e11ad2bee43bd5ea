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

MAX_WEIGHTS = 200
"""Edges up to which their weights are written beside them; more numbers would cover each other."""

THICKEST = 4.0
"""Points, of the edge of largest magnitude."""

FILLS = {"live": "#BFE5D9", "constant": "#F9E2AE", "dead": "#DDDDDD"}
COLOURS = ("#0072B2", "#D55E00")
"""Of positive and of negative weights, as in the figures."""


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a graph that is too large, or a place that cannot be written."""
    if graph.num_edges > MAX_EDGES or graph.num_nodes > MAX_EDGES:
        raise InputError(
            f"{path}: Graphviz cannot lay out {graph.num_nodes:,} nodes and {graph.num_edges:,} edges in "
            f"reasonable time, so DOT takes at most {MAX_EDGES:,} of each; keep the strongest edges "
            "(--strongest 300) or one stage, or write GEXF or GraphML"
        )
    write_text(path, generate(graph, report))


def generate(graph: Graph, report: Report = silent) -> Iterator[str]:
    """The file's text, piece by piece."""
    yield "digraph wiring {\nrankdir=LR;\n"
    for name, value in in_order(graph.attributes):
        yield f"{name}={_quoted(value if isinstance(value, str) else to_json(value))};\n"
    yield f"label={_quoted(_title(graph))};\nlabelloc=t;\nranksep=1.5;\n"
    yield 'node [shape=box, style="rounded,filled", fontname="sans-serif"];\n'
    yield 'edge [arrowsize=0.6, fontname="sans-serif", fontsize=9];\n'
    ids = [str(number) for number in graph.numbers.tolist()]
    nodes = [_attributes(field, graph.nodes[field.name]) for field in NODE_FIELDS]
    nodes.append(_node_looks(graph))
    yield from batches(
        lambda number, *given: f"{number} [{', '.join(filter(None, given))}];\n", [ids, *nodes], report
    )
    level = graph.nodes["level"]
    for index in np.unique(level).tolist():
        members = " ".join(f"{ids[row]};" for row in np.flatnonzero(level == index))
        yield f"{{rank=same; {members}}}\n"
    ends = [map(str, graph.numbers[graph.edges[end]].tolist()) for end in ("source", "target")]
    edges = [_attributes(field, graph.edges[field.name]) for field in EDGE_FIELDS]
    edges.append(_edge_looks(graph))
    yield from batches(
        lambda source, target, *given: f"{source} -> {target} [{', '.join(given)}];\n",
        [*ends, *edges],
        report,
    )
    yield "}\n"


def _title(graph: Graph) -> str:
    attributes = graph.attributes
    weights = ", edges with their weights" if graph.num_edges <= MAX_WEIGHTS else ""
    return f"{attributes['network']}, rule {attributes['rule']}: nodes as level:channel{weights}"


def _node_looks(graph: Graph) -> Iterator[str]:
    """Label and colour of each node."""
    columns = (graph.nodes[name].tolist() for name in ("level", "channel", "status"))
    for level, channel, status in zip(*columns, strict=True):
        yield f'label="{level}:{channel}", fillcolor="{FILLS[status]}"'


def _edge_looks(graph: Graph) -> Iterator[str]:
    """Colour by the sign of the weight, thickness by its magnitude, and the weight where there is room."""
    weights = graph.edges["weight"].tolist()
    largest = max(map(abs, weights), default=0.0) or 1.0
    for weight in weights:
        look = f'color="{COLOURS[weight < 0]}", penwidth="{THICKEST * abs(weight) / largest:.2f}"'
        yield f'{look}, label="{weight:.2g}"' if graph.num_edges <= MAX_WEIGHTS else look


def _attributes(field: Field, values: Array) -> Iterator[str]:
    return (f'{field.name}="{text}"' if text else "" for text in column(field, values))


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
