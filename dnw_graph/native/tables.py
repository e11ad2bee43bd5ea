"""The tables that describe a plan to the C code: rows and constants, put together as it wants them."""

from __future__ import annotations

from dataclasses import astuple, dataclass, field, fields

import numpy as np

from dnw_graph.native.structures import EDGE, Buffer, Group, Header, Operation

# Maps begin at a cache line, of 16 floats; rows at a multiple of 8.
LINE, ROW = 16, 8


@dataclass(frozen=True)
class Work:
    """What an operation is there for and does for one image.

    stage   "stem", "stage_0" …, "head"
    level   that sends (nodes), or that hears (messages), within the stage
    kind    "convolution", "nodes", "messages" or "pooling"
    macs    multiply-accumulates
    bytes   that must move at least: maps that are read or written, and edges, each once
    """

    stage: str
    level: int
    kind: str
    macs: int
    bytes: int


@dataclass
class Constants:
    """Arrays that grow as operations are added; each addition returns its place."""

    floats: list[np.ndarray] = field(default_factory=list)
    numbers: list[np.ndarray] = field(default_factory=list)
    edges: list[np.ndarray] = field(default_factory=list)

    def add_floats(self, values: np.ndarray) -> int:
        """Place of these float32 values, at a cache line."""
        flat = np.ascontiguousarray(values, dtype=np.float32).reshape(-1)
        return _add(self.floats, np.pad(flat, (0, -flat.size % LINE)))

    def add_numbers(self, values: np.ndarray) -> int:
        """Place of these int32 values; OverflowError if one is too large."""
        if values.size and values.max() > np.iinfo(np.int32).max:
            raise OverflowError(f"{values.max()} does not fit an int32")
        return _add(self.numbers, values.astype(np.int32))

    def add_edges(self, offset: np.ndarray, weight: np.ndarray) -> int:
        """Place of these edges; OverflowError if an offset is too large."""
        if offset.size and offset.max() > np.iinfo(np.int32).max:
            raise OverflowError(f"an offset of {offset.max()} floats does not fit an int32")
        edges = np.empty(offset.size, dtype=EDGE)
        edges["offset"], edges["weight"] = offset, weight
        return _add(self.edges, edges)


def _add(parts: list[np.ndarray], values: np.ndarray) -> int:
    place = sum(part.size for part in parts)
    parts.append(values)
    return place


@dataclass(frozen=True)
class Tables:
    """What `dnw_plan_new` wants."""

    tables: np.ndarray  # int64: header, buffers, operations, groups
    constants: np.ndarray  # float32
    numbers: np.ndarray  # int32
    edges: np.ndarray  # EDGE
    work: list[Work]  # of each operation

    @property
    def bytes(self) -> int:
        """Of the plan that is made from these."""
        return sum(each.nbytes for each in (self.tables, self.constants, self.numbers, self.edges))

    @property
    def bytes_per_thread(self) -> int:
        """That a thread needs at most to run it."""
        header = Header(*self.tables[: len(fields(Header))].tolist())
        return 4 * (header.shared_floats + header.thread_floats + header.scratch_floats)


def joined_tables(
    header: Header,
    buffers: list[Buffer],
    operations: list[Operation],
    groups: list[Group],
    constants: Constants,
    work: list[Work],
) -> Tables:
    """Everything in the form in which it is handed over."""
    rows: list[Header | Buffer | Operation | Group] = [header, *buffers, *operations, *groups]
    return Tables(
        np.array([number for row in rows for number in astuple(row)], dtype=np.int64),
        np.concatenate([np.empty(0, np.float32), *constants.floats]),
        np.concatenate([np.empty(0, np.int32), *constants.numbers]),
        np.concatenate([np.empty(0, EDGE), *constants.edges]),
        work,
    )


def padded(values: int, multiple: int) -> int:
    """The next multiple."""
    return -(-values // multiple) * multiple


def map_stride(height: int, pitch: int) -> int:
    """Floats from one map to the next: an odd number of cache lines, to spread over a cache's sets."""
    lines = padded(height * pitch, LINE) // LINE
    return (lines | 1) * LINE
