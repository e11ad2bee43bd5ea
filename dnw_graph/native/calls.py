"""What every call of the C code that returns a status is given, and what its status says."""

from __future__ import annotations

import torch

from dnw_graph.errors import InputError
from dnw_graph.native import library


def threads() -> tuple[int, bytes]:
    """The last two arguments of training: torch's number of threads, and the instructions to use."""
    return torch.get_num_threads(), library.instructions().encode()


def done(status: int, purpose: str) -> None:
    """Raise what a status says, if it is not that all is done.

    MemoryError that names what the memory was for; InputError if this processor lacks the instructions.
    """
    if status == library.NO_MEMORY:
        raise MemoryError(f"no memory for {purpose}")
    if status == library.NO_INSTRUCTIONS:
        raise InputError(
            f"this processor cannot run the instruction set {library.instructions()!r}; set "
            f"DNW_GRAPH_INSTRUCTIONS to one of {', '.join(library.supported())}, or leave it unset"
        )
