"""Arrays on their way into the page: one compressed block, and an index of what lies where."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Index = dict[str, dict[str, Any]]

# What typed arrays of JavaScript hold; each starts at a multiple of its item's size.
_KINDS = ("uint8", "uint16", "uint32", "int32", "float32")
_ALIGNMENT = 4


def packed(arrays: Mapping[str, Array]) -> tuple[Index, str]:
    """(index, text) of arrays: per name dtype, shape and offset in bytes; zlib's bytes in base64.

    Bytes are little-endian. Raises ValueError for a dtype that a typed array of JavaScript has not.
    """
    index: Index = {}
    parts: list[bytes] = []
    at = 0
    for name, values in arrays.items():
        kind = values.dtype.name
        if kind not in _KINDS:
            raise ValueError(f"array {name} has dtype {kind}; the page reads {', '.join(_KINDS)}")
        data = np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
        index[name] = {"dtype": kind, "shape": list(values.shape), "offset": at}
        parts += [data, bytes(-len(data) % _ALIGNMENT)]
        at += len(data) + len(parts[-1])
    return index, base64.b64encode(zlib.compress(b"".join(parts), 9)).decode("ascii")


def smallest(values: Array) -> Array:
    """Integers from 0 on in the narrowest unsigned type that holds them."""
    largest = int(values.max(initial=0))
    for kind in (np.uint8, np.uint16, np.uint32):
        if largest <= np.iinfo(kind).max:
            return values.astype(kind)
    raise ValueError(f"the page holds no integer as large as {largest}")
