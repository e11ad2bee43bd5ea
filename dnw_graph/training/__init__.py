"""The training loop and all it needs: steps, optimiser, schedule, averaged weights, scores, processes.

`train` is imported on first use, since it brings all of torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnw_graph.training.loop import train

__all__ = ["train"]


def __getattr__(name: str) -> Any:
    if name == "train":
        from dnw_graph.training.loop import train

        return train
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
