"""What the machine can do at most: dense products, and bytes from memory and from cache."""

from __future__ import annotations

import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

# Floats: far more than any cache holds; half of a second-level cache; half of a first-level one.
_FAR, _SECOND, _FIRST = 64 * 2**20, 64 * 2**10, 4 * 2**10
_SOURCE = Path(__file__).with_name("cache_rate.c")


def ceilings(rounds: int) -> dict[str, float]:
    """GFLOP/s and GB/s with torch's number of threads.

    sgemm  product of square matrices
    read   sum of a vector in memory
    copy   of a vector in memory; bytes read and written
    cache  what one core reads from its second-level cache, times the threads; the fastest of the rounds,
           since a neighbour's use of the cache only ever lowers it
    first  the same of the first-level cache
    """
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    out = torch.empty_like(a)
    far, copied = torch.ones(_FAR), torch.empty(_FAR)
    threads = torch.get_num_threads()
    return {
        "sgemm": 2 * 1536**3 / _median(lambda: torch.mm(a, b, out=out), rounds) / 1e9,
        "read": 4 * _FAR / _median(far.sum, rounds) / 1e9,
        "copy": 8 * _FAR / _median(lambda: copied.copy_(far), rounds) / 1e9,
        "cache": threads * _cache_rate(_SECOND, rounds),
        "first": threads * _cache_rate(_FIRST, rounds),
    }


def _cache_rate(floats: int, rounds: int) -> float:
    """GB/s of one core that reads so many floats over and over."""
    memory = torch.ones(floats + 16)
    start = memory.data_ptr() + -memory.data_ptr() % 64
    times = 2**26 // floats
    seconds = min(_times(lambda: _reader()(start, floats, times), rounds))
    return 4 * floats * times / seconds / 1e9


@cache
def _reader() -> Callable[[int, int, int], float]:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "cache_rate.so"
        flags = ["-O3", "-march=native", "-Wno-psabi", "-shared", "-fPIC"]
        subprocess.run(["cc", *flags, str(_SOURCE), "-o", str(library)], check=True)
        read = ctypes.CDLL(str(library)).read_over_and_over
    read.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
    read.restype = ctypes.c_float
    return read  # type: ignore[no-any-return]


def _median(call: Callable[[], object], rounds: int) -> float:
    return statistics.median(_times(call, rounds))


def _times(call: Callable[[], object], rounds: int) -> list[float]:
    call()
    times = []
    for _ in range(max(3, rounds)):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times
