"""What every call of the compiled training kernels is given, and what it says."""

from __future__ import annotations

import torch

from dnw_graph.native import library


def threads() -> tuple[int, bytes]:
    """The last two arguments: torch's number of threads, and the instructions to use."""
    return torch.get_num_threads(), library.instructions().encode()


def done(status: int, purpose: str) -> None:
    """MemoryError that names what the memory was for, if a kernel found none."""
    if status != 1:
        raise MemoryError(f"no memory for {purpose}")
