"""A plan under construction: operations in order, the groups they run in, and where their maps lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod

import numpy as np

from dnw_graph.native import library
from dnw_graph.native.structures import (
    ABSENT,
    BY_CHANNELS,
    BY_ROWS,
    MESSAGES,
    NODE,
    POOL,
    STEM,
    Buffer,
    Group,
    Header,
    Operation,
)
from dnw_graph.native.tables import LINE, ROW, Constants, Tables, Work, joined_tables, map_stride, padded

# Maps of fewer rows than this are shared out by channels instead of rows.
_ROWS_WORTH_SHARING = 8


@dataclass
class Maps:
    """`count` maps that have no place yet, and the groups that write or read them."""

    count: int
    height: int
    width: int
    per_thread: bool = False
    ring_rows: int = 0
    first_group: int = -1
    last_group: int = -1

    @property
    def pitch(self) -> int:
        """Floats from one row to the next."""
        return padded(self.width, ROW)

    @property
    def stride(self) -> int:
        """Floats from one map to the next."""
        return map_stride(self.ring_rows or self.height, self.pitch)


@dataclass
class Builder:
    """Collects operations in the order in which they run, for images [channels, height, width].

    block, tile  sources whose edges go by together, pixels at a time; None: the layers choose
    """

    image: tuple[int, int, int]
    block: int | None = None
    tile: int | None = None
    constants: Constants = field(default_factory=Constants)
    maps: list[Maps] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    work: list[Work] = field(default_factory=list)
    # What operations are added for from now on.
    stage: str = "stem"
    level: int = 0
    _edges: list[tuple[int | None, np.ndarray, np.ndarray]] = field(default_factory=list)
    _fusing: int | None = None

    def new_maps(self, count: int, height: int, width: int) -> int:
        """Number of a new buffer."""
        self.maps.append(Maps(count, height, width))
        return len(self.maps) - 1

    def add_edges(self, buffer: int | None, source: np.ndarray, weight: np.ndarray) -> int:
        """Place of edges that read maps `source` of a buffer, or of the pooled vector."""
        place = sum(each.size for _, each, _ in self._edges)
        self._edges.append((buffer, source, weight))
        return place

    def add(self, operation: Operation, edges: int = 0, heard: int = 0) -> None:
        """Append to the open fused group, or in a group of its own; nothing if it has no channel.

        edges, heard  of MESSAGES: their number, and that of the sources they come from
        """
        if not operation.channels:
            return
        self.work.append(self._work(operation, edges, heard))
        if self._fusing is None or self._fusing == len(self.groups):
            self.groups.append(Group(len(self.operations), 0, self._split(operation)))
        self.groups[-1].count += 1
        self.operations.append(operation)
        for number in _buffers(operation):
            maps = self.maps[number]
            maps.first_group = len(self.groups) - 1 if maps.first_group < 0 else maps.first_group
            maps.last_group = len(self.groups) - 1

    def _work(self, operation: Operation, edges: int, heard: int) -> Work:
        read = self.image if operation.kind == STEM else self._shape(operation.source)
        written = (1, 1) if operation.kind == POOL else self._shape(operation.target)[1:]
        pixels, channels = written[0] * written[1], operation.channels
        if operation.kind == MESSAGES:
            kind, macs, numbers = "messages", edges, heard * pixels + 2 * edges
        elif operation.kind == STEM:
            kind, macs, numbers = "convolution", 9 * channels * read[0], prod(read)
        elif operation.kind == NODE:
            kind, macs, numbers = "nodes", 9 * channels, channels * read[1] * read[2]
        else:
            kind, macs, numbers = "pooling", 0, channels * read[1] * read[2]
        if operation.added != ABSENT:
            numbers += channels * pixels
        return Work(self.stage, self.level, kind, macs * pixels, 4 * (numbers + channels * pixels))

    def _shape(self, number: int) -> tuple[int, int, int]:
        maps = self.maps[number]
        return maps.count, maps.height, maps.width

    def _split(self, operation: Operation) -> int:
        whole_maps = operation.kind == POOL or (operation.kind == NODE and operation.option)
        few = whole_maps or self.maps[operation.target].height < _ROWS_WORTH_SHARING
        return BY_CHANNELS if few else BY_ROWS

    def fuse(self) -> None:
        """Operations from now on run strip by strip, each thread by itself, until `end_fusing`."""
        self._fusing = len(self.groups)

    def end_fusing(self, strip_rows: int) -> None:
        """Close the fused group; all but its last output are the threads' own."""
        if self._fusing is None or self._fusing == len(self.groups):
            self._fusing = None
            return
        group = self.groups[-1]
        group.split, group.strip_rows = BY_ROWS, strip_rows
        members = self.operations[group.first :]
        for place, operation in enumerate(members):
            for earlier in range(place):
                if members[earlier].target in _read(operation):
                    operation.needs |= 1 << earlier
        for operation, rows in zip(members[:-1], rows_at_once(members, strip_rows), strict=True):
            maps = self.maps[operation.target]
            maps.per_thread = True
            maps.ring_rows = max(maps.ring_rows, 1 << (rows - 1).bit_length())
        for maps in self.maps:
            if maps.ring_rows >= maps.height:
                maps.ring_rows = 0
        self._fusing = None

    # The finished plan

    def finish(self, pooled: int, classes: int, **classifier: int) -> Tables:
        """Give every buffer a place and make the tables. `classifier`: the header's fields of that name."""
        shared, per_thread = (self._places(own) for own in (False, True))
        buffers = [
            Buffer(
                int(maps.per_thread),
                place,
                maps.stride,
                maps.height,
                maps.width,
                maps.pitch,
                maps.ring_rows - 1,
            )
            for maps, place in zip(self.maps, _merged(shared[0], per_thread[0]), strict=True)
        ]
        for buffer, source, weight in self._edges:
            # Only now are the sizes of rings known.
            self.constants.add_edges(source * (1 if buffer is None else self.maps[buffer].stride), weight)
        channels, height, width = self.image
        widest = max([width, *(maps.width for maps in self.maps)])
        header = Header(
            len(buffers),
            len(self.operations),
            len(self.groups),
            shared[1],
            per_thread[1],
            library.load().dnw_scratch_floats(widest, channels),
            channels,
            height,
            width,
            pooled,
            classes,
            **classifier,
        )
        return joined_tables(header, buffers, self.operations, self.groups, self.constants, self.work)

    def _places(self, per_thread: bool) -> tuple[list[int | None], int]:
        """First float of each buffer of one arena, and the arena's size.

        Buffers that are not in use in the same group may share memory: what was just read is still in cache
        when it is written anew.
        """
        places: list[int | None] = [None] * len(self.maps)
        size = 0
        for number, maps in enumerate(self.maps):
            if maps.per_thread != per_thread:
                continue
            taken = sorted(
                (place, place + self._floats(other))
                for other, place in enumerate(places)
                if place is not None and self._overlap(maps, self.maps[other])
            )
            start = 0
            for first, end in taken:
                if first - start >= self._floats(number):
                    break
                start = max(start, end)
            places[number] = start
            size = max(size, start + self._floats(number))
        return places, size

    def _floats(self, number: int) -> int:
        maps = self.maps[number]
        return padded(maps.count * maps.stride, LINE)

    @staticmethod
    def _overlap(a: Maps, b: Maps) -> bool:
        return a.first_group <= b.last_group and b.first_group <= a.last_group


def rows_at_once(members: list[Operation], strip_rows: int) -> list[int]:
    """Rows of its output that each operation of a fused group, but the last, must keep while strips go on.

    From the first that some reader has not done with to the last that is made for the next strip; in the
    first strip that is a whole strip with what its neighbours need.
    """
    starts = _reach(members, 0, _first_read, min)
    ends, later = (_reach(members, end, _end_read, max) for end in (strip_rows, 2 * strip_rows))
    kept = [1] * (len(members) - 1)
    for reader, operation in enumerate(members):
        first_strip, next_strip = _first_read(operation, starts[reader]), _first_read(operation, ends[reader])
        for writer in _writers(operation):
            kept[writer] = max(kept[writer], ends[writer] - first_strip, later[writer] - next_strip)
    return kept


def _reach(
    members: list[Operation],
    row: int,
    read: Callable[[Operation, int], int],
    widest: Callable[[int, int], int],
) -> list[int]:
    """Up to which row each operation has to go for the last one to go up to `row`, were there no borders."""
    reach: list[int | None] = [None] * (len(members) - 1) + [row]
    for place in range(len(members) - 1, -1, -1):
        here = reach[place]
        assert here is not None
        for writer in _writers(members[place]):
            known, wanted = reach[writer], read(members[place], here)
            reach[writer] = wanted if known is None else widest(known, wanted)
    return [0 if each is None else each for each in reach]


def _writers(operation: Operation) -> list[int]:
    """Places in its group of the operations that write what it reads."""
    return [place for place in range(operation.needs.bit_length()) if operation.needs >> place & 1]


def _first_read(operation: Operation, row: int) -> int:
    return row * operation.step - 1 if operation.kind == NODE else row


def _end_read(operation: Operation, end: int) -> int:
    return (end - 1) * operation.step + 2 if operation.kind == NODE else end


def _buffers(operation: Operation) -> list[int]:
    """Every buffer it touches."""
    return [*_read(operation), *([] if operation.kind == POOL else [operation.target])]


def _read(operation: Operation) -> list[int]:
    read = [] if operation.kind == STEM else [operation.source]
    return read if operation.added == ABSENT else [*read, operation.added]


def _merged(shared: list[int | None], own: list[int | None]) -> list[int]:
    return [(a if b is None else b) or 0 for a, b in zip(shared, own, strict=True)]
