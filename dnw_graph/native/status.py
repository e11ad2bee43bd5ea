"""What the status of a call of the C code says."""

from __future__ import annotations

from dnw_graph.errors import InputError
from dnw_graph.native import library


def done(status: int, purpose: str) -> None:
    """Raise what a status says, if it is not that all is done.

    MemoryError that names what the memory was for; InputError if this processor lacks the instructions, or
    if a plan leads out of its memory.
    """
    if status == library.NO_MEMORY:
        raise MemoryError(f"no memory for {purpose}")
    if status == library.BAD_PLAN:
        raise InputError(f"{purpose}: is damaged (its plan leads out of its memory); write its file anew")
    if status == library.NO_INSTRUCTIONS:
        raise InputError(
            f"this processor cannot run the instruction set {library.instructions()!r}; set "
            f"DNW_GRAPH_INSTRUCTIONS to one of {', '.join(library.supported())}, or leave it unset"
        )
