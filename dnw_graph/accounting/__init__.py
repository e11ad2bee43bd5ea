"""Parameters and multiply-accumulates: exact, and in the convention of the 2019 program."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnw_graph.accounting.model import bound, count
    from dnw_graph.accounting.removal import Left, after_removal
    from dnw_graph.accounting.report import Part, Published, Report, StageCount

_HOMES = {"bound": "model", "count": "model", "Left": "removal", "after_removal": "removal"}
_HOMES |= dict.fromkeys(("Part", "Published", "Report", "StageCount"), "report")

__all__ = ["Left", "Part", "Published", "Report", "StageCount", "after_removal", "bound", "count"]


def __getattr__(name: str) -> Any:
    # On first use: the published arithmetic needs no torch.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
