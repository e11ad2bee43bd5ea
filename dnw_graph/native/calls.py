"""What every call of the C code in training is given."""

from __future__ import annotations

import torch

from dnw_graph.native import library


def threads() -> tuple[int, bytes]:
    """The last two arguments of training: torch's number of threads, and the instructions to use."""
    return torch.get_num_threads(), library.instructions().encode()
