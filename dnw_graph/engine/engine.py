"""The whole network in one call of C: plans by size of image, and the memory they run in.

No lock is held while anything happens here: lists and dictionaries are changed by single operations, so that
a process that forks meanwhile finds nothing locked.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from dnw_graph.native import library
from dnw_graph.native.status import done
from dnw_graph.native.tables import Tables

Floats = npt.NDArray[np.float32]
Spaces = list[tuple[int, int]]
Size = tuple[int, int, int]

# Workspaces that a plan keeps for later calls: for as many callers as can run at once.
_KEPT_SPACES = max(4, os.cpu_count() or 1)


class Plan:
    """A plan in C, for images of one size; it may be run by several threads of Python at once.

    Raises InputError for tables that would lead C out of their memory.
    """

    def __init__(self, tables: Tables, classes: int) -> None:
        self.classes, self.work = classes, tables.work
        self._library = library.load()
        made = ctypes.c_void_p()
        status = self._library.dnw_plan_new(
            tables.tables.ctypes.data,
            tables.tables.size,
            tables.constants.ctypes.data,
            tables.constants.size,
            tables.numbers.ctypes.data,
            tables.numbers.size,
            tables.edges.ctypes.data,
            tables.edges.size,
            library.instructions().encode(),
            ctypes.byref(made),
        )
        done(status, f"a network of {tables.constants.nbytes} bytes")
        self._plan = int(made.value or 0)
        self.bytes, self.bytes_per_thread = tables.bytes, tables.bytes_per_thread
        self._spaces: Spaces = []
        weakref.finalize(self, _free, self._library, self._plan, self._spaces)

    def run(
        self, images: Floats, threads: int, seconds: npt.NDArray[np.float64] | None = None
    ) -> tuple[Floats, int]:
        """images [B, C, H, W] of the plan's size, contiguous → logits [B, classes], MACs of the whole batch.

        seconds  [operations + 1] float64: what each operation takes on this thread is added to it, and last
                 what it waits for others
        Raises MemoryError.
        """
        logits = np.empty((images.shape[0], self.classes), dtype=np.float32)
        if not images.shape[0]:
            return logits, 0
        assert images.dtype == np.float32
        assert images.flags.c_contiguous
        space = self._space(threads)
        try:
            macs = self._library.dnw_plan_run(
                self._plan,
                space,
                images.ctypes.data,
                images.shape[0],
                logits.ctypes.data,
                threads,
                None if seconds is None else seconds.ctypes.data,
            )
        finally:
            self._spaces.append((threads, space))
            while len(self._spaces) > _KEPT_SPACES:
                self._drop_space()
        if macs < 0:
            raise MemoryError(f"no memory for a batch of {images.shape[0]} images; give smaller batches")
        return logits, macs

    def _space(self, threads: int) -> int:
        """A workspace that no other call is using, made if there is none."""
        for entry in list(self._spaces):
            if entry[0] == threads:
                try:
                    self._spaces.remove(entry)
                except ValueError:
                    continue  # Another thread was faster.
                return entry[1]
        space = self._library.dnw_workspace_new(self._plan, threads)
        if not space:
            raise MemoryError("no memory for the maps of the network; give smaller images")
        return int(space)

    def _drop_space(self) -> None:
        try:
            _, space = self._spaces.pop(0)
        except IndexError:
            return
        self._library.dnw_workspace_free(space)


def _free(native: Any, plan: int, spaces: Spaces) -> None:
    for _, space in spaces:
        native.dnw_workspace_free(space)
    native.dnw_plan_free(plan)


class Engine:
    """Plans by size of image, each made when an image of its size comes; the last few are kept.

    kept        how many at most
    most_bytes  that they may take together, each run by so many threads; the last one stays whatever it takes
    """

    def __init__(
        self, make: Callable[[Size], Plan], kept: int, most_bytes: int | None = None, threads: int = 1
    ) -> None:
        self._make, self._kept, self._most_bytes, self._threads = make, kept, most_bytes, threads
        self._plans: dict[Size, Plan] = {}
        self._used: dict[Size, int] = {}
        self._clock = count()

    def __getstate__(self) -> tuple[Any, ...]:
        # A plan is memory of C: a copy makes its own.
        return self._make, self._kept, self._most_bytes, self._threads

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def run(self, images: Floats, threads: int) -> tuple[Floats, int]:
        """images [B, C, H, W] float32 → logits [B, classes], MACs of the whole batch."""
        return self.plan(images.shape[1:]).run(np.ascontiguousarray(images), threads)

    def plan(self, size: Size) -> Plan:
        """The plan for images [channels, height, width]."""
        plan = self._plans.get(size)
        if plan is not None:
            self._used[size] = next(self._clock)
            return plan
        plan = self._plans[size] = self._make(size)
        self._used[size] = next(self._clock)
        self._drop_oldest()
        return plan

    def _drop_oldest(self) -> None:
        kept = list(self._plans.items())
        kept.sort(key=lambda item: self._used.get(item[0], 0))
        while len(kept) > 1 and (len(kept) > self._kept or self._too_large([each for _, each in kept])):
            self._plans.pop(kept.pop(0)[0], None)
        # Those of plans that another thread dropped too.
        for size in set(self._used) - set(self._plans):
            self._used.pop(size, None)

    def _too_large(self, plans: list[Plan]) -> bool:
        taken = sum(plan.bytes + self._threads * plan.bytes_per_thread for plan in plans)
        return self._most_bytes is not None and taken > self._most_bytes
