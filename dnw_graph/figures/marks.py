"""Bars beside a panel of the adjacency: nodes with another way in or out than edges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.transforms import ScaledTranslation, Transform

from dnw_graph.figures import style
from dnw_graph.graph.layout import Layout, Stage

_WIDTH, _DISTANCE, _PAD = 4.0, 3.5, 8.0
"""Points: of a bar, from the panel to its middle, and from the panel to the labels of its rows."""


@dataclass(frozen=True)
class Mark:
    """Neighbouring nodes, from `first` to before `end`, that are marked as senders, receivers, or both."""

    text: str
    colour: str
    first: int
    end: int
    sends: bool = False
    receives: bool = False


def marks_of(layout: Layout, stage: Stage, readout: int) -> Iterator[Mark]:
    """What to mark in a stage; readout: nodes of a dynamic network that the classifier reads, 0: unknown."""
    before, after = stage.levels[-2], stage.levels[-1]
    if stage.start:
        text = f"{stage.start} nodes that feed the readout directly, too"
        yield Mark(text, style.VERMILLION, before.end - stage.start, before.end, sends=True, receives=True)
    if layout.evaluations is not None:
        inputs = layout.inputs
        yield Mark(f"{inputs} nodes that the stem feeds", style.GREEN, 0, inputs, sends=True)
        if readout:
            text = f"{readout} nodes that the classifier reads"
            yield Mark(text, style.VERMILLION, after.end - readout, after.end, receives=True)


def draw_mark(axes: Axes, mark: Mark) -> None:
    """Above the columns of nodes that receive, left of the rows of nodes that send."""
    assert axes.figure is not None
    points = axes.figure.dpi_scale_trans
    if mark.receives:
        above = axes.get_xaxis_transform() + ScaledTranslation(0, _DISTANCE / 72, points)
        _draw_bar(axes, mark, [mark.first, mark.end], [1, 1], above)
    if mark.sends:
        left = axes.get_yaxis_transform() + ScaledTranslation(-_DISTANCE / 72, 0, points)
        _draw_bar(axes, mark, [0, 0], [mark.first, mark.end], left)
        axes.tick_params(axis="y", pad=_PAD)


def legend_line(mark: Mark) -> Line2D:
    return Line2D([], [], color=mark.colour, linewidth=_WIDTH, label=mark.text)


def _draw_bar(axes: Axes, mark: Mark, x: list[int], y: list[int], transform: Transform) -> None:
    bar = Line2D(x, y, color=mark.colour, linewidth=_WIDTH, solid_capstyle="butt", clip_on=False)
    bar.set_transform(transform)
    axes.add_artist(bar)
