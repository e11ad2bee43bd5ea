"""Executed multiply-accumulates: what the kernels were asked to do, recorded at each launch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class Executed:
    """Multiply-accumulates of the launches inside `recording()`.

    total     over all images of the batch
    launches  kernels that were asked for any
    images    size of the batch
    """

    total: int = 0
    launches: int = 0
    images: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates per image."""
        return self.total // max(1, self.images)


_active: ContextVar[Executed | None] = ContextVar("executed", default=None)


@contextmanager
def recording(images: int = 1, executed: Executed | None = None) -> Iterator[Executed]:
    """Count what is launched in this block by this thread, anew or on top of `executed`."""
    executed = Executed(images=images) if executed is None else executed
    token = _active.set(executed)
    try:
        yield executed
    finally:
        _active.reset(token)


def record(macs: int) -> None:
    """Called by each launch with the multiply-accumulates of its operands."""
    executed = _active.get()
    if executed is not None and macs:
        executed.total += macs
        executed.launches += 1
