"""Figures from Python: of a network, a run, a graph or a file."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnw_graph.arguments import expect, path_of, whole_number
from dnw_graph.errors import InputError
from dnw_graph.figures import kinds
from dnw_graph.portable.graph import Graph

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dnw_graph.figures.subject import Subject


def draw(
    what: Any,
    kind: str = "layered",
    *,
    other: Any = None,
    stage: int | None = None,
    path: str | PathLike[str] | None = None,
) -> Figure:
    """Draw a wiring → the Matplotlib figure, which a notebook shows.

    what   a network, what `load_run` or `train` gave, a `dg.Graph`, or the path of a run or a wiring file
    kind   layered, adjacency, levels, degrees, kernels, turnover or compare, as `dnw-graph visualize --help`
           describes them; turnover needs a run. A film is a file only: `dnw-graph visualize --kind film`
    other  the second wiring of kind compare
    stage  this one alone; None: all
    path   also write it to this file, .png, .svg or .pdf; the same wiring gives the same bytes
    Raises InputError for what cannot be drawn or written, and where Matplotlib is missing.
    """
    expect(kind, str, "kind", f"one of {', '.join(kinds.KINDS)}")
    if kinds.find_kind(kind).film:
        raise InputError(
            f'kind "{kind}" moves, and is a file only; write it with dnw-graph visualize --kind {kind}'
        )
    file = None if path is None else path_of(path, "path")
    if stage is not None:
        stage = whole_number(stage, "stage")
    kinds.check_request(kind, file or Path("figure.png"), other=other is not None)
    subjects = [_subject(each).of_stage(stage) for each in ([what] if other is None else [what, other])]
    from dnw_graph.figures.picture import picture_bytes
    from dnw_graph.figures.style import drawing
    from dnw_graph.interchange.file import write_bytes

    with drawing():
        figure = kinds.figure_of(kind, *subjects)
        content = None if file is None else picture_bytes(figure, file.suffix.lower())
    if file is not None and content is not None:
        write_bytes(file, content)
    return figure


def _subject(what: Any) -> Subject:
    from dnw_graph.figures.subject import read_subject, subject_of
    from dnw_graph.interchange.extract import graph_of
    from dnw_graph.models.network import WiredNetwork
    from dnw_graph.portable.check import check_graph
    from dnw_graph.runs.run import Run

    if isinstance(what, Run):
        return read_subject(what.checkpoint)
    if isinstance(what, (str, PathLike)):
        return read_subject(path_of(what, "draw's run or file"))
    if isinstance(what, Graph):
        check_graph(what, "the graph", allow_part=True)
        return subject_of(what)
    if not isinstance(what, WiredNetwork):
        raise InputError(
            f"draw takes a wired network, a run, a graph or a path and was given a {type(what).__name__}; "
            "give what dnw_graph.load_run gave"
        )
    return subject_of(graph_of(what), what.network)
