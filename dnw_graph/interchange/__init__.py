"""Wirings to and from files, one format per file of this package, and official checkpoints.

A format is a module with `write(graph, path)`, `read(path)`, `to_bytes(graph)` and `from_bytes(data, where)`.
"""

from __future__ import annotations

from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnw_graph.errors import InputError
from dnw_graph.interchange.graph import Graph

if TYPE_CHECKING:
    from torch import nn

__all__ = ["FORMATS", "Graph", "load_graph", "save_graph"]

FORMATS = {".npz": "npz"}
"""Suffix of a file → module of its format."""


def save_graph(model: nn.Module | Graph, path: str | Path) -> None:
    """Write the wiring of a network's body, or a graph, to a file; the suffix names the format.

    The bytes depend on the graph alone. A Small network's wired classifier is not in it: that is
    `model.head.graph()`.
    Raises InputError for an unknown suffix, a network without a wiring, or a place that cannot be written.
    """
    path = Path(path)
    write = _format(path).write
    if not isinstance(model, Graph):
        # Reading a file needs no torch.
        from dnw_graph.interchange.extract import graph_of

        model = graph_of(model)
    write(model, path)


def load_graph(path: str | PathLike[str]) -> Graph:
    """Read a graph that `save_graph` wrote. Files are checked and may come from anywhere.

    Raises InputError for an unknown suffix, and for a file that is missing, damaged or no wiring.
    """
    if not isinstance(path, (str, PathLike)):
        raise InputError(f"load_graph reads a file and was given a {type(path).__name__}; give its path")
    path = Path(path)
    graph: Graph = _format(path).read(path)
    return graph


def _format(path: Path) -> Any:
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        known = ", ".join(FORMATS)
        raise InputError(f"{path}: the suffix {path.suffix!r} names no format for graphs; use {known}")
    return import_module(f"dnw_graph.interchange.{name}")
