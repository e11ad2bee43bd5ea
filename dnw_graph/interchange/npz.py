"""Graphs as NumPy archives: exact, compressed, the same bytes for the same graph.

An .npz file holds one array per field of `Graph`, called nodes.level … edges.weight …, and `attributes`, a
text in JSON. `numpy.load` opens it without pickle.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.interchange.archive import Archive
from dnw_graph.interchange.file import MAX_BYTES, read_bytes, write_bytes
from dnw_graph.interchange.text import Report, from_json, silent, to_json
from dnw_graph.portable.check import check_attributes, check_graph
from dnw_graph.portable.graph import Graph
from dnw_graph.portable.schema import EDGE_FIELDS, ENDS, NODE_FIELDS, NUMBER_FIELD, RAW_FIELDS

# A bound on the work that a hostile file can cause; a thousand class names take 0.1 MB.
_MAX_ATTRIBUTES = 16 << 20

_NODES = [field.name for field in (NUMBER_FIELD, *NODE_FIELDS, *RAW_FIELDS)]
_EDGES = [field.name for field in (*ENDS, *EDGE_FIELDS)]
_NAMES = ("attributes", *(f"nodes.{name}" for name in _NODES), *(f"edges.{name}" for name in _EDGES))


def write(graph: Graph, path: Path, report: Report = silent) -> None:
    """Raises InputError for a place that cannot be written."""
    write_bytes(path, to_bytes(graph))
    report(graph.num_nodes + graph.num_edges)


def read(path: Path) -> Graph:
    """Raises InputError for a file that is missing, damaged, no wiring, or written by a newer version."""
    return from_bytes(read_bytes(path), str(path))


def to_bytes(graph: Graph) -> bytes:
    """The file's content."""
    arrays = {"attributes": np.array(to_json(graph.attributes))}
    arrays |= {f"nodes.{name}": graph.nodes[name] for name in _NODES if name in graph.nodes}
    arrays |= {f"edges.{name}": graph.edges[name] for name in _EDGES}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, array in arrays.items():
            # The zip's own default is the present time.
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(array, order="C"), allow_pickle=False)
            archive.writestr(entry, content.getvalue())
    return buffer.getvalue()


def from_bytes(data: bytes, where: str) -> Graph:
    """The graph in a file's content; `where` names the file in errors."""
    arrays = _arrays(data, where)
    nodes = {name: arrays[f"nodes.{name}"] for name in _NODES if f"nodes.{name}" in arrays}
    edges = {name: arrays[f"edges.{name}"] for name in _EDGES if f"edges.{name}" in arrays}
    graph = Graph(nodes, edges, arrays["attributes"])
    check_graph(graph, where, allow_part=True)
    return graph


def _arrays(data: bytes, where: str) -> dict[str, Any]:
    """All arrays by name, and the attributes, which are already checked."""
    archive = Archive(data, where, MAX_BYTES)
    if "attributes" in archive.names and archive.size("attributes") > _MAX_ATTRIBUTES:
        raise InputError(f"{where}: its attributes take {archive.size('attributes')} bytes; no wiring's do")
    text = archive.array("attributes") if "attributes" in archive.names else None
    if text is None or text.dtype.kind != "U" or text.ndim:
        raise InputError(f"{where}: holds arrays but no graph attributes; give a file that dnw-graph wrote")
    attributes = from_json(text.item(), where, "its attributes are")
    # Before anything else, for a newer version may have other arrays.
    check_attributes(attributes, where)
    if unknown := [name for name in archive.names if name not in _NAMES]:
        raise InputError(
            f"{where}: array {unknown[0]!r:.60} has no place in a wiring; give a file that dnw-graph wrote"
        )
    arrays: dict[str, Any] = {name: archive.array(name) for name in archive.names if name != "attributes"}
    return {**arrays, "attributes": attributes}
