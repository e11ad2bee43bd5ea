"""Discovering neural wirings, as explicit graphs.

Public names are imported on first use, so that what needs no torch does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dnw_graph import analysis
    from dnw_graph.accounting import count
    from dnw_graph.config import load_config
    from dnw_graph.errors import InputError
    from dnw_graph.figures.draw import draw
    from dnw_graph.inference import compile
    from dnw_graph.interchange import Graph, load_graph, save_graph
    from dnw_graph.interchange.graph_libraries import to_dgl, to_networkx, to_pyg
    from dnw_graph.interchange.official import from_official
    from dnw_graph.models.registry import build_model
    from dnw_graph.pieces import register
    from dnw_graph.runs import load_run
    from dnw_graph.runs.push import push_to_hub
    from dnw_graph.training.trained import train
    from dnw_graph.wiring import Rule

__version__ = "0.1.0"

_HOMES = {
    "Graph": "dnw_graph.portable.graph",
    "InputError": "dnw_graph.errors",
    "Rule": "dnw_graph.wiring",
    "build_model": "dnw_graph.models.registry",
    "compile": "dnw_graph.inference",
    "count": "dnw_graph.accounting",
    "draw": "dnw_graph.figures.draw",
    "from_official": "dnw_graph.interchange.official",
    "load_config": "dnw_graph.config",
    "load_graph": "dnw_graph.interchange",
    "load_run": "dnw_graph.runs",
    "push_to_hub": "dnw_graph.runs.push",
    "register": "dnw_graph.pieces",
    "save_graph": "dnw_graph.interchange",
    "to_dgl": "dnw_graph.interchange.graph_libraries",
    "to_networkx": "dnw_graph.interchange.graph_libraries",
    "to_pyg": "dnw_graph.interchange.graph_libraries",
    "train": "dnw_graph.training.trained",
}

__all__ = [
    "Graph",
    "InputError",
    "Rule",
    "analysis",
    "build_model",
    "compile",
    "count",
    "draw",
    "from_official",
    "load_config",
    "load_graph",
    "load_run",
    "push_to_hub",
    "register",
    "save_graph",
    "to_dgl",
    "to_networkx",
    "to_pyg",
    "train",
]


def __getattr__(name: str) -> Any:
    if name == "analysis":
        return import_module("dnw_graph.analysis")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "analysis"})
