"""Adjacency: which nodes send to which, sorted by level, darker where more of the candidates are edges."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure, FigureBase
from matplotlib.gridspec import SubplotSpec
from matplotlib.image import AxesImage
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from dnw_graph.analysis.wiring import Wiring
from dnw_graph.figures import style
from dnw_graph.figures.binned import Binned, binned, group_width, range_of
from dnw_graph.figures.marks import Mark, draw_mark, legend_line, marks_of
from dnw_graph.figures.subject import Subject
from dnw_graph.graph.layout import Layout, Level, Stage

HEIGHT = 9.0
GROUPS = 64
"""Groups of nodes of a stage's largest level; a smaller level has groups of as many nodes."""


def adjacency_figure(subject: Subject) -> Figure:
    """One panel per stage, since no edge leaves one: rows send, columns receive."""
    figure = style.new_figure(HEIGHT, "Adjacency: which nodes send to which", subject.title)
    parts = densities(subject.wiring, subject.stages)
    limits = range_of([part.percent for part in parts])
    draw_panels(figure, subject.layout, subject.stages, parts, limits, readout=subject.readout)
    return figure


def densities(wiring: Wiring, stages: Sequence[Stage]) -> list[Binned]:
    """What the panels of these stages show, in the order of `draw_panels`."""
    return [part for stage in stages for part in binned(wiring, stage, GROUPS)]


def limits_of(parts: Sequence[Binned]) -> tuple[float, float]:
    """Per cent: from one edge in the largest cell, which every wiring of a network may have, to all."""
    return 100 / max(int(part.candidates.max()) for part in parts), 100.0


def draw_panels(
    figure: FigureBase,
    layout: Layout,
    stages: Sequence[Stage],
    parts: Sequence[Binned],
    limits: tuple[float, float],
    *,
    readout: int = 0,
) -> list[AxesImage]:
    """Axes, scale and legend; returns the image of each part, whose data a film replaces.

    limits   of the scale, per cent
    readout  nodes of a dynamic network that the classifier reads, the last ones; 0: unknown
    """
    norm, colours = _scale(limits), style.density_colours()
    panels, below = _arrange(figure, stages)
    images = []
    for part in parts:
        axes = panels[part.target.stage]
        box = (part.target.first, part.target.end, part.source.end, part.source.first)
        images.append(
            axes.imshow(
                part.percent, cmap=colours, norm=norm, extent=box, aspect="auto", interpolation="nearest"
            )
        )
    for stage in stages:
        _finish(panels[stage.index], stage, [part for part in parts if part.target.stage == stage.index])
        if layout.evaluations is not None:
            _name_states(panels[stage.index], stage)
    marks = [(stage, mark) for stage in stages for mark in marks_of(layout, stage, readout)]
    for stage, mark in marks:
        draw_mark(panels[stage.index], mark)
    _explain(figure, below, images[0], [mark for _, mark in marks])
    return images


def _scale(limits: tuple[float, float]) -> LogNorm:
    low, high = limits
    # A scale needs some length even where every group is as full as the others.
    return LogNorm(low if low < high / 2 else high / 4, high)


def _arrange(figure: FigureBase, stages: Sequence[Stage]) -> tuple[dict[int, Axes], SubplotSpec]:
    """Axes by stage number, and the place below them: the stage with most candidates is drawn largest."""
    largest = max(stages, key=lambda stage: stage.num_candidates)
    others = [stage for stage in stages if stage is not largest]
    rows = max(-(-len(others) // 2), 1)
    shares = (2, 2.4) if others else (1,)
    outer = figure.add_gridspec(2, len(shares), height_ratios=(1, 0.03), width_ratios=shares)
    panels = {largest.index: figure.add_subplot(outer[0, -1])}
    if others:
        inner = outer[0, 0].subgridspec(rows, min(len(others), 2))
        for number, stage in enumerate(others):
            panels[stage.index] = figure.add_subplot(inner[number // 2, number % 2])
    return panels, outer[1, :]


def _finish(axes: Axes, stage: Stage, parts: Sequence[Binned]) -> None:
    """Limits, levels on both sides, lines between them; what cannot be an edge is hatched."""
    senders = _unique(part.source for part in parts)
    receivers = _unique(part.target for part in parts)
    axes.set_xlim(receivers[0].first, receivers[-1].end)
    axes.set_ylim(senders[-1].end, senders[0].first)
    axes.patch.set(facecolor=style.PALE, hatch="////", edgecolor="#D5D5D5")
    for level in receivers[1:]:
        axes.axvline(level.first, color=style.GREY, linewidth=0.7)
    for level in senders[1:]:
        axes.axhline(level.first, color=style.GREY, linewidth=0.7)
    axes.set_xticks(
        [(level.first + level.end) / 2 for level in receivers], [_label(each) for each in receivers]
    )
    axes.set_yticks([(level.first + level.end) / 2 for level in senders], [_label(each) for each in senders])
    axes.tick_params(length=0)
    width = group_width(stage, GROUPS)
    axes.set_title(f"stage {stage.index} ({width}×{width})")
    axes.set_xlabel("to level (nodes)")
    axes.set_ylabel("from level (nodes)")


def _name_states(axes: Axes, stage: Stage) -> None:
    """The levels of a dynamic network are the same nodes, before and after an evaluation."""
    nodes = f"{stage.levels[0].size:,}\nnodes"
    axes.set_xticks(axes.get_xticks(), [nodes])
    axes.set_yticks(axes.get_yticks(), [nodes])
    axes.set_xlabel("to: states after an evaluation")
    axes.set_ylabel("from: states before")


def _label(level: Level) -> str:
    return f"{level.index}\n({level.size})"


def _unique(levels: Iterable[Level]) -> list[Level]:
    return sorted(set(levels), key=lambda level: level.index)


def _explain(figure: FigureBase, below: SubplotSpec, image: AxesImage, marks: Sequence[Mark]) -> None:
    bar = figure.colorbar(image, cax=figure.add_subplot(below), orientation="horizontal")
    bar.ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    bar.ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.xaxis.set_minor_formatter(NullFormatter())
    bar.ax.spines["outline"].set_visible(False)
    bar.set_label("edges in the wiring, % of the candidates of each cell (in brackets: nodes of a cell)")
    handles: list[Artist] = [
        Patch(facecolor="white", edgecolor=style.GREY, label="candidates, none in the wiring"),
        Patch(facecolor=style.PALE, hatch="////", edgecolor="#D5D5D5", label="no candidates"),
    ]
    handles += map(legend_line, marks)
    figure.legend(handles=handles, loc="outside lower center", ncols=2 if len(handles) > 3 else 3)
