"""safetensors files with NumPy alone: eight bytes of length, a JSON header, and the tensors' bytes.

Written in one way only, so that the same content gives the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# The widest type first, so that every tensor begins at a multiple of its own size.
_TYPES: dict[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "U8": np.dtype("u1")}
_ALIGNMENT = 8

MAX_HEADER_BYTES = 4 << 20
"""Of a JSON header, which when parsed takes up to twenty times as much memory."""


def written(metadata: Mapping[str, str], tensors: Mapping[str, Array]) -> bytes:
    """The file's bytes, of float32, float16 and uint8 arrays."""
    names = {dtype: name for name, dtype in _TYPES.items()}
    order = sorted(tensors, key=lambda name: (-tensors[name].itemsize, name))
    entries: dict[str, object] = {"__metadata__": dict(metadata)}
    parts, place = [], 0
    for name in order:
        values = tensors[name]
        parts.append(np.ascontiguousarray(values).tobytes())
        end = place + len(parts[-1])
        entries[name] = {
            "dtype": names[values.dtype],
            "shape": list(values.shape),
            "data_offsets": [place, end],
        }
        place = end
    header = plain_text(entries).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    return len(header).to_bytes(8, "little") + header + b"".join(parts)


def plain_text(value: object) -> str:
    """JSON in one way only; ValueError for numbers that it does not have."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def parsed(text: str | bytes) -> Any:
    """The value that JSON stands for. Raises ValueError, also for what is nested too deep."""
    try:
        return json.loads(text, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nests its header too deep") from None


def read(data: bytes) -> tuple[dict[str, str], dict[str, Array]]:
    """(metadata, tensors by name; those are views of the data). Raises ValueError."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(MAX_HEADER_BYTES, len(data) - 8):
        raise ValueError("is no safetensors file, or its end is missing")
    try:
        entries = parsed(data[8 : 8 + length])
    except ValueError:
        raise ValueError("has a header that is not valid JSON") from None
    if not isinstance(entries, dict):
        raise ValueError("has a header that is no JSON object")
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError("has metadata that are no texts")
    body = memoryview(data)[8 + length :]
    tensors, spans = {}, []
    for name, entry in entries.items():
        values, span = _tensor(name, entry, body)
        tensors[name] = values
        spans.append(span)
    spans.sort()
    edges = [0, *(end for _, end in spans)]
    if [first for first, _ in spans] != edges[:-1] or edges[-1] != len(body):
        raise ValueError("has tensors that overlap, or bytes that belong to none")
    return metadata, tensors


def _tensor(name: str, entry: object, body: memoryview) -> tuple[Array, tuple[int, int]]:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"does not describe tensor {name[:80]!r}")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    known = _TYPES.get(dtype) if isinstance(dtype, str) else None
    if known is None or not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > 8:
        raise ValueError(f"does not describe tensor {name[:80]!r}")
    first, end = offsets
    if not first <= end <= len(body) or end - first != prod(shape) * known.itemsize:
        raise ValueError(f"has {end - first} bytes for tensor {name[:80]!r}, which is not its size")
    return np.frombuffer(body[first:end], dtype=known).reshape(shape), (first, end)


def _counts(values: object) -> bool:
    return isinstance(values, list) and all(type(each) is int and 0 <= each < 1 << 40 for each in values)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON")
