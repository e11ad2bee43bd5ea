"""Executed multiply-accumulates: what the kernels were asked to do, recorded at each launch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Executed:
    """MACs of message passing, summed over the launches inside `recording()`.

    total   over all images of the batches
    """

    total: int = 0
    launches: int = 0


_active: ContextVar[Executed | None] = ContextVar("executed", default=None)


@contextmanager
def recording() -> Iterator[Executed]:
    """Count the message passing launched in this block by this thread."""
    executed = Executed()
    token = _active.set(executed)
    try:
        yield executed
    finally:
        _active.reset(token)


def record(macs: int) -> None:
    """Called by each launch with the multiply-accumulates of its operands."""
    executed = _active.get()
    if executed is not None:
        executed.total += macs
        executed.launches += 1
