"""Timing on a GPU: number formats, calls that wait for the device, what does not fit, peak memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from timing import interleaved

Call = Callable[[], object]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# What products of float32 are computed with, and what autocast makes of features.
FORMATS = ("float32", "TF32", "bf16")


class Clock:
    """Time that is left for what is still to be measured."""

    def __init__(self, seconds: float) -> None:
        self._end = time.perf_counter() + seconds
        self._begin = time.perf_counter()

    def left(self) -> float:
        """Seconds."""
        return self._end - time.perf_counter()

    def used(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._begin


@contextmanager
def numbers(form: str) -> Iterator[None]:
    """One of `FORMATS`; float32 is float32 everywhere outside."""
    flags: tuple[Any, ...] = torch.backends.cuda.matmul, torch.backends.cudnn
    for flag in flags:
        flag.allow_tf32 = form == "TF32"
    try:
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=form == "bf16"):
            yield
    finally:
        for flag in flags:
            flag.allow_tf32 = False


def synchronise() -> None:
    """Wait for the device."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def median_seconds(contenders: Mapping[str, Call], rounds: int) -> tuple[dict[str, float], dict[str, str]]:
    """Median seconds of each contender that can run, waiting for the device; of the others, why not."""
    usable, reasons = {}, {}
    for name, call in contenders.items():
        try:
            call()
            synchronise()
        except (RuntimeError, ValueError, NotImplementedError) as error:
            reasons[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
            release()
        else:
            usable[name] = _waiting(call)
    return (interleaved(usable, rounds, warm_up=int(rounds > 1)) if usable else {}), reasons


def peak_bytes(call: Call) -> int:
    """Memory of the device that a call takes beside what is held already; 0 without a GPU."""
    if DEVICE.type != "cuda":
        call()
        return 0
    release()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    call()
    synchronise()
    return torch.cuda.max_memory_allocated() - held


def release() -> None:
    """Give memory back that nothing holds."""
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()


def _waiting(call: Call) -> Call:
    def run() -> None:
        call()
        synchronise()

    return run
