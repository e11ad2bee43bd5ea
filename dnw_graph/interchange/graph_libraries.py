"""Graphs as those of other libraries: `networkx.DiGraph`, `dgl.DGLGraph` and PyG's `Data`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from dnw_graph.dependencies import load_dgl, load_pyg
from dnw_graph.portable.check import check_graph
from dnw_graph.portable.graph import Array, Graph
from dnw_graph.portable.schema import EDGE_FIELDS, NODE_FIELDS, NUMBER_FIELD, in_order

if TYPE_CHECKING:
    import dgl
    import networkx
    from torch import Tensor, nn
    from torch_geometric.data import Data


def to_networkx(model: nn.Module | Graph) -> networkx.DiGraph:
    """The wiring of a network's body, or a loaded graph, as a `networkx.DiGraph`.

    Nodes are ints, numbered level by level, with the data that files have: level channel stage resolution
    stride status carry norm scale shift eps kernel (a tuple of nine floats, row by row). The last four are
    NaN where a node has no operation (norm is "none"). Edges have weight and id; `graph` holds the
    attributes. All are plain Python values.
    Raises InputError for a network without a wiring, and for a graph that is none.
    """
    import networkx

    graph = _graph_of(model)
    numbers = graph.numbers.tolist()
    wiring = networkx.DiGraph()
    wiring.graph.update(in_order(graph.attributes))
    wiring.add_nodes_from(zip(numbers, _node_data(graph), strict=True))
    source, target = (graph.numbers[graph.edges[end]].tolist() for end in ("source", "target"))
    names = [field.name for field in EDGE_FIELDS]
    columns = [graph.edges[name].tolist() for name in names]
    data = (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True))
    wiring.add_edges_from(zip(source, target, data, strict=True))
    return wiring


def to_dgl(model: nn.Module | Graph) -> dgl.DGLGraph:
    """The wiring of a network's body, or a loaded graph, as a `dgl.DGLGraph` on the CPU.

    ndata   what `model.graph()` has, and norm (0 batch, 1 instance, 2 none), scale, shift, eps [N] and
            kernel [N, 3, 3], which are NaN where norm is none; number, where nodes were left out
    edata   weight [E] float, id [E] int64
    Raises InputError where DGL is not installed, for a network without a wiring, and for a graph that is
    none.
    """
    dgl = load_dgl()
    graph = _graph_of(model)
    made = dgl.graph(_ends(graph), num_nodes=graph.num_nodes)
    made.ndata.update(_node_tensors(graph))
    made.edata.update(_edge_tensors(graph))
    return made


def to_pyg(model: nn.Module | Graph) -> Data:
    """The wiring of a network's body, or a loaded graph, as a `torch_geometric.data.Data` on the CPU.

    edge_index   [2, E] int64, sources and targets
    edge_weight  [E] float;  edge_id  [E] int64
    level channel stage resolution stride carry status norm scale shift eps kernel  of nodes, as in `to_dgl`
    The graph's attributes (network, rule, …) are the data's, too.
    Raises InputError where torch_geometric is not installed, for a network without a wiring, and for a graph
    that is none.
    """
    import torch

    data = load_pyg().data
    graph = _graph_of(model)
    edges = {f"edge_{name}": values for name, values in _edge_tensors(graph).items()}
    return data.Data(
        edge_index=torch.stack(_ends(graph)),
        num_nodes=graph.num_nodes,
        **edges,
        **_node_tensors(graph),
        **dict(in_order(graph.attributes)),
    )


def _graph_of(model: nn.Module | Graph) -> Graph:
    if not isinstance(model, Graph):
        from dnw_graph.interchange.extract import graph_of

        model = graph_of(model)
    check_graph(model, "the graph", allow_part=True)
    return model


def _node_data(graph: Graph) -> Iterator[dict[str, Any]]:
    columns = {}
    for field in NODE_FIELDS:
        values = graph.nodes[field.name]
        if field.kind == "kernel":
            columns[field.name] = list(map(tuple, values.reshape(-1, 9).tolist()))
        else:
            columns[field.name] = values.tolist()
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _ends(graph: Graph) -> tuple[Tensor, Tensor]:
    return _tensor(graph.edges["source"]), _tensor(graph.edges["target"])


def _node_tensors(graph: Graph) -> dict[str, Tensor]:
    """Names as codes: their positions in `Field.known`."""
    tensors = {}
    for field in NODE_FIELDS:
        values = graph.nodes[field.name]
        tensors[field.name] = _tensor(_codes(values, field.known) if field.kind == "name" else values)
    if NUMBER_FIELD.name in graph.nodes:
        tensors[NUMBER_FIELD.name] = _tensor(graph.nodes[NUMBER_FIELD.name])
    return tensors


def _edge_tensors(graph: Graph) -> dict[str, Tensor]:
    return {field.name: _tensor(graph.edges[field.name]) for field in EDGE_FIELDS}


def _tensor(values: Array) -> Tensor:
    """With memory of its own: what is done to it leaves the graph as it is."""
    import torch

    return torch.from_numpy(np.array(values, order="C"))


def _codes(values: Array, known: tuple[str, ...]) -> Array:
    codes = np.zeros(len(values), dtype=np.int64)
    for code, name in enumerate(known):
        codes[values == name] = code
    return codes
