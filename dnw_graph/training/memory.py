"""Keeping the memory that a training step frees for the next one."""

from __future__ import annotations

import ctypes
import os
import platform

# Names and numbers of <malloc.h>: a maximum of 0 mappings, the most that a C int holds, and 64 MiB.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_SETTINGS = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20))


def keep_freed_memory() -> bool:
    """Let the C library hold on to what is freed, instead of giving large blocks back to the system at once.

    Every step asks for the same tensors again, and the system would fill each page with zeros anew: a sixth
    of a step of the tiny network. For the whole process; only where the C library is glibc and the
    environment says nothing about it (MALLOC_… variables). Returns whether it was done.
    """
    if platform.libc_ver()[0] != "glibc" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    done = [mallopt(name, value) == 1 for name, value in _SETTINGS]
    return all(done)
