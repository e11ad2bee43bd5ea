"""What a run leaves on disk: its directory, checkpoints, records and wirings, written and read back.

`load_run` is imported on first use, so that reading records needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnw_graph.runs.load import load_run

__all__ = ["load_run"]


def __getattr__(name: str) -> Any:
    if name == "load_run":
        from dnw_graph.runs.load import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
