"""Timing on a GPU: number formats, calls that wait for the device, what does not fit, peak memory."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

Call = Callable[[], object]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# What products of float32 are computed with, and what autocast makes of features.
FORMATS = ("float32", "TF32", "bf16")
# Seconds of a turn of short calls, and cycles of the device in which a host asks for all of them.
_TURN, _HEAD_START = 0.01, 4_000_000


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


def median_seconds(
    contenders: Mapping[str, Call], rounds: int, *, kernels: bool = False, seconds: float = 4.0
) -> tuple[dict[str, float], dict[str, str]]:
    """Median seconds per call of each contender that can run; of the others, why not.

    kernels  time of the device alone, by its own events; else of the host's clock, until the device is done
    seconds  that all timed calls together may take, about; every contender has three turns at least

    Contenders take turns. A turn is as many calls as take some milliseconds, and one wait for the device.
    One that takes very long has no turn, and so has none if there is only one round.
    """
    turns: dict[str, Callable[[], float]] = {}
    reasons: dict[str, str] = {}
    taken: dict[str, list[float]] = {}
    in_all = 0.0
    for name, call in contenders.items():
        once = _tried(lambda call=call: _second_call(call), name, reasons)  # type: ignore[misc]
        if once is None:
            continue
        if once > seconds / 4 or rounds == 1:
            taken[name] = [once]
            continue
        calls = max(1, min(20, int(_TURN / once)))
        turns[name], taken[name] = _turn(call, calls, kernels=kernels and DEVICE.type == "cuda"), []
        in_all += once * calls
    for _ in range(min(rounds, max(3, int(seconds / in_all)))) if turns else ():
        for name in list(turns):
            if (found := _tried(turns[name], name, reasons)) is not None:
                taken[name].append(found)
            else:
                del turns[name], taken[name]
    return {name: statistics.median(each) for name, each in taken.items()}, reasons


def _tried(measure: Callable[[], float], name: str, reasons: dict[str, str]) -> float | None:
    """What it measures, or None with the reason noted: out of memory, say, or a product that is not there."""
    try:
        return measure()
    except Exception as error:
        reasons[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
    # Not before the error is gone, which holds what the call held.
    release()
    return None


def _second_call(call: Call) -> float:
    """Seconds; the first call compiles, and tries convolutions."""
    call()
    begin = _now()
    call()
    return _now() - begin


def _turn(call: Call, calls: int, *, kernels: bool) -> Callable[[], float]:
    """Seconds per call of so many calls."""

    def by_clock() -> float:
        begin = _now()
        for _ in range(calls):
            call()
        return (_now() - begin) / calls

    def by_events() -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        synchronise()
        # The device waits here while the host asks for all calls, so that it never waits in between.
        torch.cuda._sleep(_HEAD_START)
        start.record()
        for _ in range(calls):
            call()
        end.record()
        synchronise()
        return start.elapsed_time(end) / 1e3 / calls

    return by_events if kernels else by_clock


def _now() -> float:
    """The host's clock, once the device is done."""
    synchronise()
    return time.perf_counter()


def peak_bytes(call: Call) -> int | None:
    """Memory of the device that a call takes beside what is held; None without a GPU, or if it fails."""
    if DEVICE.type != "cuda":
        return None
    release()
    held = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    try:
        call()
        synchronise()
    except Exception:
        return None
    return torch.cuda.max_memory_allocated() - held


def release() -> None:
    """Give memory back that nothing holds."""
    gc.collect()
    if DEVICE.type == "cuda":
        torch.cuda.empty_cache()
