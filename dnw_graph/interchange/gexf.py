"""Graphs as GEXF, the XML that Gephi reads best. Written only.

Version 1.2draft, which every reader knows. Ids of attributes differ from their titles, since Gephi has a
column `id` of its own; edges have no XML id, since networkx would take that for the edge's `id`. Nodes have a
position, levels as columns, for Gephi has no layout that would put them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

from dnw_graph.interchange.file import write_text
from dnw_graph.interchange.text import Report, batches, column, silent, texts, to_json
from dnw_graph.portable.graph import Array, Graph
from dnw_graph.portable.schema import EDGE_FIELDS, NODE_FIELDS, Field

NAMESPACE = "http://www.gexf.net/1.2draft"
VIZ_NAMESPACE = f"{NAMESPACE}/viz"

# Gephi draws a node 10 units wide.
_BETWEEN_NODES = 15
_WIDTH_TO_HEIGHT = 1.6

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
    yield f'<gexf xmlns="{NAMESPACE}" xmlns:viz="{VIZ_NAMESPACE}" version="1.2">\n'
    yield "<meta>\n<creator>dnw-graph</creator>\n"
    yield f"<description>{escape(to_json(graph.attributes))}</description>\n</meta>\n"
    yield '<graph defaultedgetype="directed" mode="static">\n'
    yield from _declared("node", NODE_FIELDS, graph.nodes)
    yield from _declared("edge", _EDGE_FIELDS, graph.edges)
    yield "<nodes>\n"
    nodes = [_values("node", field, graph.nodes[field.name]) for field in NODE_FIELDS]
    ids = map(str, graph.numbers.tolist())
    yield from batches(
        lambda number, place, *values: (
            f'<node id="{number}" label="{number}"><attvalues>{"".join(values)}</attvalues>{place}</node>\n'
        ),
        [ids, _positions(graph), *nodes],
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


def _positions(graph: Graph) -> Iterator[str]:
    """Levels from left to right, the nodes of each from top to bottom, all columns centred."""
    if not graph.num_nodes:
        return
    level, channel = graph.nodes["level"], graph.nodes["channel"]
    sizes = np.bincount(level, minlength=1)
    np.maximum.at(sizes, level, channel + 1)
    height = _BETWEEN_NODES * int(sizes.max())
    x = level * int(_WIDTH_TO_HEIGHT * height / max(len(sizes) - 1, 1))
    y = (sizes[level] - 1 - 2 * channel) * _BETWEEN_NODES / 2
    for right, up in zip(x.tolist(), y.tolist(), strict=True):
        yield f'<viz:position x="{right}" y="{up:g}" z="0"/>'


def _id(kind: str, field: Field) -> str:
    return f"{kind}_{field.name}"
