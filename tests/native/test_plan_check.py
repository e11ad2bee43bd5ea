"""C looks at every number of a plan before it runs: what would lead out of its memory is refused."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

import dnw_graph as dg
from dnw_graph.engine.engine import Plan
from dnw_graph.errors import InputError
from dnw_graph.native import library
from dnw_graph.native.structures import MESSAGES, NODE, Buffer, Header, Operation

pytestmark = pytest.mark.skipif(bool(library.reason()), reason="no C kernels here")


@pytest.fixture(scope="module")
def tables(networks):
    """A plan whose first stage runs strip by strip, in rings."""
    return dg.compile(networks.mobilenet(), "csr").tables((3, 40, 40), fused_stages=1)


def place(tables, record: type, name: str, number: int = 0) -> int:
    """Where a field of a record is in the tables."""
    sizes = [len(fields(each)) for each in (Header, Buffer, Operation)]
    header = Header(*tables.tables[: sizes[0]].tolist())
    first = {Header: 0, Buffer: sizes[0], Operation: sizes[0] + header.buffers * sizes[1]}[record]
    names = [field.name for field in fields(record)]
    return first + number * len(names) + names.index(name)


def operation(tables, kind: int) -> int:
    """Number of the first operation of a kind."""
    numbers = range(int(tables.tables[place(tables, Header, "operations")]))
    return next(each for each in numbers if tables.tables[place(tables, Operation, "kind", each)] == kind)


def refused(tables, /, **changes) -> None:
    with pytest.raises(InputError, match="its plan leads out of its memory"):
        Plan(replace(tables, **changes), 3)


def test_the_plan_itself_is_taken(tables):
    assert Plan(tables, 3).run(np.ones((1, 3, 40, 40), np.float32), 1)[0].shape == (1, 3)


@pytest.mark.parametrize(
    ("record", "name", "change"),
    [
        (Header, "buffers", lambda value: value + 1),
        (Header, "groups", lambda value: -1),
        (Header, "shared_floats", lambda value: value - 16),
        (Header, "thread_floats", lambda value: value // 2),
        (Header, "scratch_floats", lambda value: value - 1),
        (Header, "image_width", lambda value: value + 2),
        (Header, "image_channels", lambda value: 17),
        (Header, "pooled", lambda value: value + 1),
        (Header, "classes", lambda value: 1 << 40),
        (Header, "classifier_bias", lambda value: -1),
        (Buffer, "stride", lambda value: 8),
        (Buffer, "pitch", lambda value: value + 8),
        (Buffer, "height", lambda value: value + 1),
        (Buffer, "at", lambda value: -16),
        (Buffer, "ring", lambda value: 4),
    ],
)
def test_a_header_or_a_buffer_that_lies(record, name, change, tables):
    changed = tables.tables.copy()
    at = place(tables, record, name)
    changed[at] = change(int(changed[at]))
    refused(tables, tables=changed)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (NODE, "channels", 100),
        (NODE, "channels", 0),
        (NODE, "source", 1 << 20),
        (NODE, "source_map", -1),
        (NODE, "target_map", 1 << 20),
        (NODE, "step", 3),
        (NODE, "kernel", 1 << 40),
        (NODE, "scale", -1),
        (NODE, "option", 1),
        (NODE, "kind", 9),
        (MESSAGES, "pointer", -1),
        (MESSAGES, "edges", 1 << 40),
        (MESSAGES, "chunks", 1 << 20),
        (MESSAGES, "added", 0),
        (MESSAGES, "base", 0),
    ],
)
def test_an_operation_that_lies(kind, name, value, tables):
    changed = tables.tables.copy()
    changed[place(tables, Operation, name, operation(tables, kind))] = value
    refused(tables, tables=changed)


@pytest.mark.parametrize("offset", [-1, 1 << 30])
def test_an_edge_from_nowhere(offset, tables):
    edges = tables.edges.copy()
    edges["offset"][3] = offset
    refused(tables, edges=edges)


def test_pointers_that_fall(tables):
    changed = tables.numbers.copy()
    first = int(tables.tables[place(tables, Operation, "pointer", operation(tables, MESSAGES))])
    changed[first] = 1 << 20
    refused(tables, numbers=changed)


def test_tables_that_end_early(tables):
    for length in (0, 3, len(tables.tables) - 1):
        with pytest.raises(InputError, match="its plan leads out of its memory"):
            Plan(_Cut(tables, length), 3)


class _Cut:
    """Tables of which only a part is there."""

    def __init__(self, tables, length: int) -> None:
        self.tables = tables.tables[:length].copy()
        self.constants, self.numbers, self.edges = tables.constants, tables.numbers, tables.edges
        self.work = tables.work
