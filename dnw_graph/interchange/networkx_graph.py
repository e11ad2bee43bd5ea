"""Graphs as `networkx.DiGraph`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dnw_graph.interchange.check import check_graph
from dnw_graph.interchange.graph import Graph
from dnw_graph.interchange.schema import EDGE_FIELDS, NODE_FIELDS, in_order

if TYPE_CHECKING:
    import networkx
    from torch import nn


def to_networkx(model: nn.Module | Graph) -> networkx.DiGraph:
    """The wiring of a network's body, or a loaded graph, as a `networkx.DiGraph`.

    Nodes are ints, numbered level by level, with the data that files have: level channel stage resolution
    stride status carry norm, and where the node has an operation scale shift eps kernel (a tuple of nine
    floats, row by row). Edges have weight and id; `graph` holds the attributes. All are plain Python values.
    Raises InputError for a network without a wiring, and for a graph that is none.
    """
    import networkx

    if not isinstance(model, Graph):
        from dnw_graph.interchange.extract import graph_of

        model = graph_of(model)
    check_graph(model, "the graph", allow_part=True)
    numbers = model.numbers.tolist()
    wiring = networkx.DiGraph()
    wiring.graph.update(in_order(model.attributes))
    wiring.add_nodes_from(zip(numbers, _node_data(model), strict=True))
    source, target = (model.numbers[model.edges[end]].tolist() for end in ("source", "target"))
    names = [field.name for field in EDGE_FIELDS]
    columns = [model.edges[name].tolist() for name in names]
    data = (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))
    wiring.add_edges_from(zip(source, target, data, strict=True))
    return wiring


def _node_data(graph: Graph) -> Iterator[dict[str, Any]]:
    columns = {}
    for field in NODE_FIELDS:
        values = graph.nodes[field.name]
        if field.kind == "kernel":
            columns[field.name] = list(map(tuple, values.reshape(-1, 9).tolist()))
        else:
            columns[field.name] = values.tolist()
    absent = {field.name for field in NODE_FIELDS if field.has_float_type}
    for values in zip(*columns.values(), strict=True):
        data = dict(zip(columns, values, strict=True))
        operates = data["norm"] != "none"
        yield {name: value for name, value in data.items() if operates or name not in absent}
