"""Keeping freed memory: only for glibc, and never against the user's own settings."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

# Frees a large block and takes another: new pages are faults that the kernel counts.
SCRIPT = """
import resource
from dnw_graph.training.memory import keep_freed_memory
print(keep_freed_memory())
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def fill():
    block = libc.malloc(40 << 20)
    ctypes.memset(block, 1, 40 << 20)
    libc.free(block)
fill()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
fill()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def run(**environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    words = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(words, env=kept | environment, capture_output=True, text=True, check=True)
    did, faults = done.stdout.split()
    return did, int(faults)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc")
def test_what_is_freed_is_there_for_the_next_step():
    did, faults = run()
    assert did == "True"
    assert faults < 100
    did, faults = run(MALLOC_ARENA_MAX="4")
    assert did == "False", "the user's settings stay"
    assert faults > 1000
