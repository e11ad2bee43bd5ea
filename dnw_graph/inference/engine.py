"""The whole network in one call of C: plans by size of image, and the memory they run in."""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable

import torch
from torch import Tensor

from dnw_graph.native import library
from dnw_graph.native.calls import done
from dnw_graph.native.tables import Tables


class Plan:
    """A plan in C, for images of one size; it may be run by several threads of Python at once."""

    def __init__(self, tables: Tables, classes: int) -> None:
        self.classes, self.work = classes, tables.work
        self._library = library.load()
        made = ctypes.c_void_p()
        status = self._library.dnw_plan_new(
            tables.tables.ctypes.data,
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
        self._spaces: list[tuple[int, int]] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _free, self._library, self._plan, self._spaces)

    def run(self, images: Tensor, seconds: Tensor | None = None) -> tuple[Tensor, int]:
        """images [B, C, H, W] float32, contiguous, of the plan's size → logits, MACs of the whole batch.

        seconds  [operations + 1] float64: what each operation takes on this thread is added to it, and last
                 what it waits for others
        """
        logits = images.new_empty(images.shape[0], self.classes)
        if not images.shape[0]:
            return logits, 0
        threads = torch.get_num_threads()
        space = self._space(threads)
        try:
            macs = self._library.dnw_plan_run(
                self._plan,
                space,
                images.data_ptr(),
                images.shape[0],
                logits.data_ptr(),
                threads,
                None if seconds is None else seconds.data_ptr(),
            )
        finally:
            with self._lock:
                self._spaces.append((threads, space))
        if macs < 0:
            raise MemoryError(f"no memory for a batch of {images.shape[0]} images; give smaller batches")
        return logits, macs

    def _space(self, threads: int) -> int:
        """A workspace that no other call is using, made if there is none."""
        with self._lock:
            for entry in self._spaces:
                if entry[0] == threads:
                    self._spaces.remove(entry)
                    return entry[1]
        space = self._library.dnw_workspace_new(self._plan, threads)
        if not space:
            raise MemoryError("no memory for the maps of the network; give smaller images")
        return int(space)


def _free(native: object, plan: int, spaces: list[tuple[int, int]]) -> None:
    for _, space in spaces:
        native.dnw_workspace_free(space)  # type: ignore[attr-defined]
    native.dnw_plan_free(plan)  # type: ignore[attr-defined]


class Engine:
    """Plans by size of image, each made when an image of its size comes; the last few are kept."""

    def __init__(self, make: Callable[[tuple[int, int, int]], Plan], kept: int) -> None:
        self._make, self._kept = make, kept
        self._plans: dict[tuple[int, int, int], Plan] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        # A plan is memory of C: a copy makes its own.
        return {"_make": self._make, "_kept": self._kept}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(state["_make"], state["_kept"])  # type: ignore[misc]

    def run(self, images: Tensor) -> tuple[Tensor, int]:
        """images [B, C, H, W] float32 on the CPU → logits [B, classes], MACs of the whole batch."""
        return self.plan(images).run(images.contiguous())

    def plan(self, images: Tensor) -> Plan:
        """The plan for images of this size."""
        _, channels, height, width = images.shape
        size = (channels, height, width)
        with self._lock:
            plan = self._plans.pop(size, None)
            if plan is not None:
                # The one that was used last comes last.
                self._plans[size] = plan
                return plan
        plan = self._make(size)
        with self._lock:
            self._plans[size] = plan
            while len(self._plans) > self._kept:
                del self._plans[next(iter(self._plans))]
        return plan
