"""The idx format of MNIST and its kin: a big-endian header, then bytes."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import torch
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.limits import most_unpacked

UNSIGNED_BYTE = 0x08


def read_idx(path: Path, dimensions: int) -> Tensor:
    """Read an idx file of bytes, gzipped when its name ends in .gz: uint8 with that many dimensions.

    Header: two zero bytes, type code, number of dimensions, each size as a big-endian 32-bit integer.
    Raises InputError when it cannot be read, is truncated, or has another type or number of dimensions.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(4 + 4 * dimensions)
            if content[:4] == bytes([0, 0, UNSIGNED_BYTE, dimensions]) and len(content) == 4 + 4 * dimensions:
                # What the header announces is read, and one byte more, to see whether there is; a file that
                # claims too much is read only as far as its size allows.
                announced = math.prod(struct.unpack(f">{dimensions}I", content[4:]))
                content += file.read(min(announced, most_unpacked(path.stat().st_size)) + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); download it again") from error
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    header = 4 + 4 * dimensions
    if content[:4] != expected or len(content) < header:
        raise InputError(
            f"{path}: not an idx file of bytes with {dimensions} dimensions (it begins with "
            f"{content[:4].hex() or 'nothing'}, expected {expected.hex()}); download it again"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise InputError(
            f"{path}: announces {math.prod(shape)} bytes of data but has {len(content) - header}; "
            "download it again"
        )
    if math.prod(shape) == 0:
        return torch.empty(shape, dtype=torch.uint8)
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header).view(shape)
