"""Graphs as NumPy archives: exact, compressed, the same bytes for the same graph.

An .npz file holds one array per field of `Graph`, called nodes.level … edges.weight …, and `attributes`, a
text in JSON. `numpy.load` opens it without pickle.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.interchange.check import EDGE_ARRAYS, NODE_ARRAYS, RAW_ARRAYS, check_attributes, check_graph
from dnw_graph.interchange.file import MAX_BYTES, read_bytes, write_bytes
from dnw_graph.interchange.graph import Array, Graph

_NODES = {**NODE_ARRAYS, **RAW_ARRAYS}
_NAMES = ("attributes", *(f"nodes.{name}" for name in _NODES), *(f"edges.{name}" for name in EDGE_ARRAYS))


def write(graph: Graph, path: Path) -> None:
    """Raises InputError for a graph that is no wiring, or a place that cannot be written."""
    check_graph(graph, "the graph to be saved")
    write_bytes(path, to_bytes(graph))


def read(path: Path) -> Graph:
    """Raises InputError for a file that is missing, damaged, no wiring, or written by a newer version."""
    return from_bytes(read_bytes(path), str(path))


def to_bytes(graph: Graph) -> bytes:
    """The file's content."""
    text = json.dumps(graph.attributes, sort_keys=True, ensure_ascii=True, allow_nan=False)
    arrays = {"attributes": np.array(text)}
    arrays |= {f"nodes.{name}": graph.nodes[name] for name in _NODES if name in graph.nodes}
    arrays |= {f"edges.{name}": graph.edges[name] for name in EDGE_ARRAYS}
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
    attributes = _attributes(arrays, where)
    # Before anything else, for a newer version may have other arrays.
    check_attributes(attributes, where)
    if unknown := [name for name in arrays if name not in _NAMES]:
        raise InputError(
            f"{where}: array {unknown[0]!r} has no place in a wiring; give a file that dnw-graph wrote"
        )
    nodes = {name: arrays[f"nodes.{name}"] for name in _NODES if f"nodes.{name}" in arrays}
    edges = {name: arrays[f"edges.{name}"] for name in EDGE_ARRAYS if f"edges.{name}" in arrays}
    graph = Graph(nodes, edges, attributes)
    check_graph(graph, where)
    return graph


def _attributes(arrays: dict[str, Array], where: str) -> Any:
    text = arrays.get("attributes")
    if text is None or text.dtype.kind != "U" or text.ndim:
        raise InputError(f"{where}: holds arrays but no graph attributes; give a file that dnw-graph wrote")
    try:
        return json.loads(text.item())
    except (ValueError, RecursionError):
        raise InputError(
            f"{where}: its attributes are not valid JSON; the file is damaged, save it anew"
        ) from None


def _arrays(data: bytes, where: str) -> dict[str, Array]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            size = sum(entry.file_size for entry in entries)
            if size > MAX_BYTES:
                raise InputError(
                    f"{where}: unpacks to {size} bytes, more than a wiring takes (at most {MAX_BYTES})"
                )
            return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}
    except InputError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{where}: is no readable .npz file ({reason}); it is damaged or of another kind"
        ) from None


def _array(content: bytes) -> Array:
    """One .npy file. The size that its header claims is compared with what is there before it is believed."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {version} is unknown")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = header(stream)
    claimed = dtype.itemsize
    for length in shape:
        claimed *= length
    if dtype.hasobject or claimed != len(content) - stream.tell():
        raise ValueError(f"an array of {dtype} {list(shape)} does not fit its {len(content)} bytes")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
