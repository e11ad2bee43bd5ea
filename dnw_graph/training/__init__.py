"""Configuration, training loop, checkpoints, evaluation.

`train` and `load_run` are imported on first use, so that reading a configuration needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnw_graph.training.loop import train
    from dnw_graph.training.restore import load_run

__all__ = ["load_run", "train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from dnw_graph.training.loop import train

        return train
    if name == "load_run":
        from dnw_graph.training.restore import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
