"""A plan as a file for C: `native/source/plan_file.c` reads it, `dnw.h` is what C programs see."""

from __future__ import annotations

import ctypes

import numpy as np

from dnw_graph.native.structures import SIZES
from dnw_graph.native.tables import Tables
from dnw_graph.program.program import Array
from dnw_graph.runtime.network import Network
from dnw_graph.runtime.preprocess import Preprocessing

VERSION = 1
_MAGIC = b"DNWPLAN\0"


def plan_file(network: Network, height: int | None = None, width: int | None = None) -> bytes:
    """The network for images of one size, of its own by default; a plan fits the library it was made with.

    Raises InputError for a size that the network cannot take.
    """
    height = network.image_size if height is None else height
    tables = network.tables(height, height if width is None else width)
    described = network.preprocessing
    mean, std = np.zeros(3, np.float32), np.ones(3, np.float32)
    if described is not None:
        mean, std = (getattr(Preprocessing.of(described), name) for name in ("mean", "std"))
    names = "".join(f"{name}\0" for name in network.class_names or ()).encode()
    arrays = [each.tobytes() for each in (mean, std, *_arrays(tables))]
    return b"".join([_MAGIC, _counts(tables, len(names)), bytes(16), *arrays, names])


def _counts(tables: Tables, names: int) -> bytes:
    sizes = [SIZES[f"plan_{name}"] for name in ("header", "buffer", "operation", "group")]
    counts = [VERSION, *(each.size for each in _arrays(tables)), names, *sizes]
    return bytes((ctypes.c_int64 * len(counts))(*counts))


def _arrays(tables: Tables) -> tuple[Array, ...]:
    return tables.tables, tables.edges, tables.constants, tables.numbers
