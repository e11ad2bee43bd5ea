"""Graphs in DGL's own binary format, for programs that work with DGL.

DGL holds numbers only: `status` is 0 dead, 1 constant, 2 live; `norm` is 0 batch, 1 instance, 2 none; what a
node without operation lacks is NaN. The graph's attributes are JSON, in the bytes of the label `attributes`.
DGL reads such a file with C++ code that trusts it, so it is read only where the caller does, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from dnw_graph.dependencies import load_dgl
from dnw_graph.errors import InputError
from dnw_graph.interchange.check import check_graph
from dnw_graph.interchange.file import read_bytes, temporary_beside
from dnw_graph.interchange.graph import Graph
from dnw_graph.interchange.graph_libraries import to_dgl
from dnw_graph.interchange.schema import NODE_FIELDS
from dnw_graph.interchange.text import Report, from_json, silent, to_json

if TYPE_CHECKING:
    import dgl

# Bytes between the number of graphs and the first graph.
_HEADER = range(32, 4096)


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a place that cannot be written."""
    import torch

    dgl = load_dgl()
    attributes = np.frombuffer(to_json(graph.attributes).encode(), dtype=np.uint8)
    temporary = None
    try:
        temporary = temporary_beside(path)
        # DGL says nothing of a disk that is full or not there.
        temporary.write_bytes(b"")
        dgl.save_graphs(str(temporary), [to_dgl(graph)], {"attributes": torch.from_numpy(attributes.copy())})
        _clear_reserved(temporary)
        temporary.replace(path)
    except (OSError, dgl.DGLError) as error:
        reason = getattr(error, "strerror", None) or "DGL failed"
        raise InputError(f"{path}: cannot be written ({reason}); choose another place") from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    report(graph.num_nodes + graph.num_edges)


def _clear_reserved(path: Path) -> None:
    """DGL leaves whatever was in memory in the part of the header that it does not use."""
    with path.open("r+b") as file:
        file.seek(_HEADER.start)
        file.write(bytes(len(_HEADER)))


def read(path: Path) -> Graph:
    """Read a file that is known to come from `write`. A manipulated one can do anything.

    Raises InputError for a file that is missing, or seen to be damaged or no wiring.
    """
    dgl = load_dgl()
    where = str(path)
    read_bytes(path)
    try:
        graphs, labels = dgl.load_graphs(where)
    except (dgl.DGLError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())[:100]
        raise InputError(
            f"{where}: DGL cannot read it ({reason}); it is damaged or of another kind"
        ) from None
    if len(graphs) != 1 or "attributes" not in labels:
        raise InputError(f"{where}: holds no graph attributes; give a file that dnw-graph wrote")
    attributes = from_json(labels["attributes"].numpy().tobytes(), where, "its attributes are")
    graph = _from_dgl(graphs[0], attributes)
    check_graph(graph, where, allow_part=True)
    return graph


def _from_dgl(made: dgl.DGLGraph, attributes: Any) -> Graph:
    nodes = {name: values.numpy() for name, values in made.ndata.items()}
    for field in NODE_FIELDS:
        if field.kind == "name" and field.name in nodes:
            names = np.array([*field.known, "?"])
            codes = nodes[field.name]
            nodes[field.name] = names[np.where((codes < 0) | (codes >= len(field.known)), -1, codes)]
    source, target = (ends.numpy() for ends in made.edges(order="eid"))
    data = {name: values.numpy() for name, values in made.edata.items()}
    return Graph(nodes, {"source": source, "target": target, **data}, attributes)
