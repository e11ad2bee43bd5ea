"""What the machine can do at most: dense products, and bytes from memory and from cache."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch

# Far more than any cache holds; and two vectors that the second-level cache holds beside what else is in it.
_FAR, _NEAR = 64 * 2**20, 32 * 2**10


def ceilings(rounds: int) -> dict[str, float]:
    """GFLOP/s and GB/s with torch's number of threads.

    sgemm  product of square matrices
    read   sum of a vector in memory
    copy   of a vector in memory; bytes read and written
    cache  dot product of two vectors in one core's second-level cache (torch's or numpy's), times the threads
    """
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    out = torch.empty_like(a)
    far, copied = torch.ones(_FAR), torch.empty(_FAR)
    threads = torch.get_num_threads()
    rates = {
        "sgemm": 2 * 1536**3 / _median(lambda: torch.mm(a, b, out=out), rounds) / 1e9,
        "read": 4 * _FAR / _median(far.sum, rounds) / 1e9,
        "copy": 8 * _FAR / _median(lambda: copied.copy_(far), rounds) / 1e9,
    }
    torch.set_num_threads(1)
    x, y, many = torch.randn(_NEAR), torch.randn(_NEAR), 200
    dots: list[Callable[[], object]] = [lambda: torch.dot(x, y), lambda: np.dot(x.numpy(), y.numpy())]
    seconds = min(_median(lambda dot=dot: [dot() for _ in range(many)], rounds) for dot in dots) / many
    torch.set_num_threads(threads)
    return rates | {"cache": threads * 8 * _NEAR / seconds / 1e9}


def _median(call: Callable[[], object], rounds: int) -> float:
    call()
    times = []
    for _ in range(max(3, rounds)):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)
