"""NumPy archives (.npz) from anywhere: the one reader, for wirings of runs and for graphs.

Sizes are compared with what is there before anything is unpacked, so that an archive costs at most
`dnw_graph.limits.most_unpacked` of its size; arrays are numbers and texts, never objects.
"""

from __future__ import annotations

import io
import math
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.limits import most_unpacked
from dnw_graph.portable.graph import Array

_KNOWN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MAX_ENTRIES = 4096
# What numpy writes in front of an array, in the versions 1 and 2 of its format.
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[biufU][0-9]{1,9})', 'fortran_order': (True|False), "
    rb"'shape': \(((?:[0-9]{1,18}, ?)*(?:[0-9]{1,18})?)\), \} *\n"
)


class Archive:
    """An archive whose sizes are within bounds; arrays are unpacked when they are asked for.

    limit  bytes that it may unpack to, whatever its own size
    names  of its arrays, in order
    """

    def __init__(self, data: bytes, where: str, limit: int) -> None:
        self._where = where
        with self._telling():
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            entries = self._zip.infolist()
            self._entries = {entry.filename.removesuffix(".npy"): entry for entry in entries}
            size, most = sum(entry.file_size for entry in entries), min(limit, most_unpacked(len(data)))
            if size > most:
                raise InputError(
                    f"{where}: unpacks to {size} bytes, more than a wiring takes (at most {most} from "
                    f"a file of {len(data)})"
                )
            if len(entries) > _MAX_ENTRIES or len(entries) != len(self._entries):
                raise ValueError(f"{len(entries)} entries, or one twice")
            if any(entry.compress_type not in _KNOWN or entry.flag_bits & 1 for entry in entries):
                raise ValueError("packed in a way that no wiring is")
        self.names = list(self._entries)

    def size(self, name: str) -> int:
        """Bytes that an array unpacks to."""
        return self._entries[name].file_size

    def array(self, name: str) -> Array:
        """Unpack one array. Raises InputError if it is damaged or holds objects."""
        with self._telling():
            return _array(self._zip.read(self._entries[name]))

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            raise
        # On damaged bytes zipfile raises BadZipFile, zlib.error, struct.error, …: all mean this file.
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(
                f"{self._where}: is no readable .npz file ({reason}); it is damaged or of another kind"
            ) from None


def _array(content: bytes) -> Array:
    """One .npy file. The size that its header claims is compared with what is there before it is believed."""
    if content[:6] != b"\x93NUMPY" or content[6:8] not in (b"\1\0", b"\2\0"):
        raise ValueError(f"array format {tuple(content[6:8])} is unknown")
    width = 2 if content[6] == 1 else 4
    start = 8 + width + int.from_bytes(content[8 : 8 + width], "little")
    header = _HEADER.fullmatch(content[8 + width : start])
    if header is None:
        raise ValueError("an array's header is not what numpy writes for numbers and texts")
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(length) for length in header[3].split(b",") if length.strip())
    if dtype.itemsize * math.prod(shape) != len(content) - start:
        raise ValueError(f"an array of {dtype} {list(shape)} does not fit its {len(content)} bytes")
    order: Literal["F", "C"] = "F" if header[2] == b"True" else "C"
    values = np.frombuffer(content, dtype, offset=start) if dtype.itemsize else np.empty(0, dtype)
    if dtype.kind == "U" and dtype.itemsize:
        _check_text(values)
    return values.reshape(shape, order=order).copy(order="A")


def _check_text(values: Array) -> None:
    codes = values.view(values.dtype.byteorder.replace("|", "=") + "u4")
    if ((codes > 0x10FFFF) | ((codes >= 0xD800) & (codes < 0xE000))).any():
        raise ValueError("a text holds what is no character")
