"""Wirings to and from files, one format per file of this package, and official checkpoints.

A format is a module with `write(graph, path, report)` and, if it can be read back, `read(path)`; `formats`
lists them. What they write is what `schema` says of a graph's nodes, edges and attributes. Importing this
package imports no NumPy: help lists the formats.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any

from dnw_graph.arguments import expect, path_of
from dnw_graph.errors import InputError
from dnw_graph.interchange.formats import FORMATS, READABLE, find_format
from dnw_graph.interchange.text import Report, silent

if TYPE_CHECKING:
    from torch import nn

    from dnw_graph.interchange.graph import Graph

__all__ = ["FORMATS", "Graph", "load_graph", "save_graph"]


def __getattr__(name: str) -> Any:
    if name != "Graph":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from dnw_graph.interchange.graph import Graph

    return Graph


def save_graph(
    model: nn.Module | Graph,
    path: str | PathLike[str],
    format: str | None = None,
    *,
    stage: int | None = None,
    threshold: float | None = None,
    without_dead: bool = False,
    strongest: int | None = None,
    report: Report = silent,
) -> None:
    """Write the wiring of a network's body, or a graph, to a file; the suffix names the format.

    format        its name (see `formats.BY_NAME`), where the suffix does not tell
    stage         only the levels of this stage, its input level included, and the edges between them
    threshold     only edges with |weight| >= threshold
    without_dead  no dead nodes, and no edges to them; constant nodes stay, since they change the outputs
    strongest     only so many edges of largest |weight|, and the nodes at their ends
    report        is told now and then how many more nodes and edges have been written

    The bytes depend on the graph alone. A Small network's wired classifier is not in it: that is
    `model.head.graph()`.
    Raises InputError for an unknown suffix, a network without a wiring, a graph that is none, a part that is
    not there, a graph too large for the format, or a place that cannot be written.
    """
    from dnw_graph.interchange.check import check_graph
    from dnw_graph.interchange.graph import Graph
    from dnw_graph.interchange.part import part_of

    path = path_of(path, "path")
    expect(without_dead, bool, "without_dead", "True or False")
    module = find_format(path, format).load()
    if not isinstance(model, Graph):
        # Reading a file needs no torch.
        from dnw_graph.interchange.extract import graph_of

        model = graph_of(model)
    check_graph(model, "the graph to be saved", allow_part=True)
    part = part_of(model, stage=stage, threshold=threshold, without_dead=without_dead, strongest=strongest)
    module.write(part, path, report)


def load_graph(path: str | PathLike[str], format: str | None = None, *, trusted: bool = False) -> Graph:
    """Read a graph that `save_graph` wrote. Files are checked and may come from anywhere.

    format   its name (see `formats.BY_NAME`), where the suffix does not tell
    trusted  read DGL's .bin files too: DGL's own reader is C++ code that does not validate its file

    Raises InputError for an unknown suffix, a format that is not read, and for a file that is missing,
    damaged, too large, or no wiring.
    """
    if not isinstance(path, (str, PathLike)):
        raise InputError(f"load_graph reads a file and was given a {type(path).__name__}; give its path")
    path = path_of(path, "path")
    found = find_format(path, format)
    if found.unread:
        raise InputError(f"{path}: {found.unread}; load one of {', '.join(READABLE)}")
    if found.trusted_only and not trusted:
        raise InputError(
            f"{path}: DGL's own reader does not validate files; give trusted=True for a file of your own, "
            f"or load one of {', '.join(READABLE)}"
        )
    graph: Graph = found.load().read(path)
    return graph
