"""A compiled network that serves images of many sizes keeps no more memory than for the last few of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dnw_graph.native import library

# First come the largest sizes, again and again: what is kept for the last few of them, and what torch and the
# allocator take once. Then all sizes, in an order that has plans made, dropped and made again. Memory is what
# the process has resident, after freed memory was handed back.
SCRIPT = """
import ctypes, random, sys
import torch
import dnw_graph as dg
from dnw_graph.models.mobilenet_v1 import mobilenet_v1

backend, calls, sizes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(1)
blocks = ((6, 16, 1, 2), (16, 24, 2, 2))
model = mobilenet_v1(rule="random", num_classes=10, image_size=32, density=0.2, blocks=blocks).eval()
network = dg.compile(model, backend)
side = range(40, 40 + round(sizes**0.5))
places = [(height, width) for height in side for width in side]
assert len(places) == sizes
dice = random.Random(0)

def resident():
    ctypes.CDLL(None).malloc_trim(0)
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

def serve(count, places):
    for call in range(count):
        if call % len(places) == 0:
            dice.shuffle(places)
        network(torch.randn(1, 3, *places[call % len(places)]))

serve(40, sorted(places)[-10:])
found = [resident()]
for _ in range(4):
    serve(calls // 4, places)
    found.append(resident())
print(*found)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")


FOR_ALL_SIZES = {"native": 24 << 10, "csr": 96 << 10}
"""kB for the first calls of every size; the plans of 100 would take 40 MB. torch keeps kernels of its own."""
LATER = 8 << 10

needs_kernels = pytest.mark.skipif(library.reason() is not None, reason="no C kernels here")


@pytest.mark.parametrize(("calls", "sizes"), [(400, 100), pytest.param(20_000, 400, marks=pytest.mark.slow)])
@pytest.mark.parametrize("backend", [pytest.param("native", marks=needs_kernels), "csr"])
def test_resident_memory_stays_flat_over_many_calls_and_sizes(backend, calls, sizes):
    words = [sys.executable, "-c", SCRIPT, backend, str(calls), str(sizes)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    warm, first, *later = map(int, done.stdout.split())
    assert first - warm < FOR_ALL_SIZES[backend], f"resident kB: {done.stdout}"
    assert max(later) - first < LATER, f"resident kB: {done.stdout}"
