"""Edges in few bytes: as gaps between their positions, or as one bit per pair that could be an edge.

The edge from column u to row v, of C columns, has position v · C + u; positions ascend. A gap is the number
of positions between two edges, or before the first: a byte 0 … 254, after as many bytes 255 as it has 255s.
Bits begin with the lowest of each byte.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]

_FULL = 255


def packed(row: Ints, column: Ints, rows: int, columns: int) -> tuple[str, Bytes]:
    """("gaps" or "bits", the bytes): whichever is shorter."""
    position = row.astype(np.int64) * columns + column
    gap = np.diff(position, prepend=-1) - 1
    assert gap.min(initial=0) >= 0, "edges ascend by row, then column"
    ends = np.cumsum(gap // _FULL + 1)
    length = int(ends[-1]) if gap.size else 0
    if length <= -(-rows * columns // 8):
        codes = np.full(length, _FULL, dtype=np.uint8)
        codes[ends - 1] = gap % _FULL
        return "gaps", codes
    flags = np.zeros(rows * columns, dtype=bool)
    flags[position] = True
    return "bits", np.packbits(flags, bitorder="little")


def unpacked(kind: str, codes: Bytes, rows: int, columns: int, edges: int) -> tuple[Ints, Ints]:
    """(row, column) of so many edges. Raises ValueError for bytes that say anything else."""
    if kind == "bits":
        if codes.size != -(-rows * columns // 8):
            raise ValueError(f"has {codes.size} bytes of bits for {rows}×{columns} edges")
        # Counted before any position is made, so that it takes no more memory than the weights.
        if int(np.unpackbits(codes).sum()) != edges:
            raise ValueError(f"has another number of bits than its {edges} weights")
        position = np.flatnonzero(np.unpackbits(codes, bitorder="little"))
    else:
        ends = np.flatnonzero(codes != _FULL)
        if ends.size != edges or (codes.size and codes[-1] == _FULL):
            raise ValueError(f"has {ends.size} gaps for {edges} weights")
        position = np.cumsum(codes, dtype=np.int64)[ends] + np.arange(edges)
    if edges and position[-1] >= rows * columns:
        raise ValueError(f"has edges beyond {rows}×{columns}")
    return np.divmod(position, max(columns, 1))
