"""Graphs as GEXF, the XML that Gephi reads best. Written only.

Version 1.2draft, which every reader knows. Ids of attributes differ from their titles, since Gephi has a
column `id` of its own; edges have no XML id, since networkx would take that for the edge's `id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from dnw_graph.interchange.file import write_text
from dnw_graph.interchange.graph import Array, Graph
from dnw_graph.interchange.schema import EDGE_FIELDS, NODE_FIELDS, Field
from dnw_graph.interchange.text import Report, batches, column, silent, texts, to_json

NAMESPACE = "http://www.gexf.net/1.2draft"

# GEXF has an XML attribute for it.
_OWN_ATTRIBUTE = "weight"
_FLOAT_TYPES = {"float32": "float", "float64": "double"}
_EDGE_FIELDS = tuple(field for field in EDGE_FIELDS if field.name != _OWN_ATTRIBUTE)


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a place that cannot be written."""
    write_text(path, generate(graph, report))


def generate(graph: Graph, report: Report = silent) -> Iterator[str]:
    """The file's text, piece by piece. GEXF has no attributes of graphs: they are JSON in the description."""
    yield '<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<gexf xmlns="{NAMESPACE}" version="1.2">\n<meta>\n<creator>dnw-graph</creator>\n'
    yield f"<description>{escape(to_json(graph.attributes))}</description>\n</meta>\n"
    yield '<graph defaultedgetype="directed" mode="static">\n'
    yield from _declared("node", NODE_FIELDS, graph.nodes)
    yield from _declared("edge", _EDGE_FIELDS, graph.edges)
    yield "<nodes>\n"
    nodes = [_values("node", field, graph.nodes[field.name]) for field in NODE_FIELDS]
    ids = map(str, graph.numbers.tolist())
    yield from batches(
        lambda number, *values: (
            f'<node id="{number}" label="{number}"><attvalues>{"".join(values)}</attvalues></node>\n'
        ),
        [ids, *nodes],
        report,
    )
    yield "</nodes>\n<edges>\n"
    ends = [map(str, graph.numbers[graph.edges[end]].tolist()) for end in ("source", "target")]
    weights = texts(graph.edges[_OWN_ATTRIBUTE])
    values = [_values("edge", field, graph.edges[field.name]) for field in _EDGE_FIELDS]
    yield from batches(
        lambda source, target, weight, *values: (
            f'<edge source="{source}" target="{target}" weight="{weight}">'
            f"<attvalues>{''.join(values)}</attvalues></edge>\n"
        ),
        [*ends, weights, *values],
        report,
    )
    yield "</edges>\n</graph>\n</gexf>\n"


def _declared(kind: str, fields: Sequence[Field], arrays: dict[str, Array]) -> Iterator[str]:
    yield f'<attributes class="{kind}" mode="static">\n'
    for field in fields:
        types = {"integer": "long", "number": _FLOAT_TYPES.get(str(arrays[field.name].dtype), "")}
        value_type = types.get(field.kind, "string")
        yield f'<attribute id="{_id(kind, field)}" title="{field.name}" type="{value_type}"/>\n'
    yield "</attributes>\n"


def _values(kind: str, field: Field, values: Array) -> Iterator[str]:
    name = _id(kind, field)
    return (f'<attvalue for="{name}" value="{text}"/>' if text else "" for text in column(field, values))


def _id(kind: str, field: Field) -> str:
    return f"{kind}_{field.name}"
