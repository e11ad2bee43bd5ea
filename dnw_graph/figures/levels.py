"""Levels: how many edges flow from each level to each later one, and how many would by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from dnw_graph.analysis.densities import densities_of
from dnw_graph.errors import InputError
from dnw_graph.figures import style
from dnw_graph.figures.level_axis import label_levels
from dnw_graph.figures.subject import Subject

HEIGHT = 7.4
THICKEST = 16.0
"""Points, of the pair with most edges; thickness goes with the square root."""
DEPTH = 1.3
"""Of the bar of the largest level, where neighbouring levels are 1 apart."""
HATCHES = {"live": "", "constant": "////", "dead": "xxxx"}


@dataclass(frozen=True)
class Flow:
    """Edges from one level to another; chance: the mean of random wirings of equal budget."""

    source: int
    target: int
    edges: int
    chance: float

    @property
    def ratio(self) -> float:
        return self.edges / self.chance if self.chance else 1.0


def flows_of(subject: Subject) -> list[Flow]:
    """Every pair of drawn levels that candidate edges join, by source and target."""
    found = densities_of(subject.wiring)
    flows = []
    for stage in subject.stages:
        share = subject.wiring.budgets[stage.index] / stage.num_candidates
        members = [level.index for level in stage.levels]
        for place in ((source, target) for source in members for target in members):
            if candidates := int(found.candidates[place]):
                flows.append(Flow(*place, int(found.edges[place]), share * candidates))
    return flows


def levels_figure(subject: Subject) -> Figure:
    """Arcs from level to level: thickness for edges, colour for edges beside chance; bars for nodes.

    Raises InputError for a dynamic network, whose edges all go from the states before to those after.
    """
    if subject.is_dynamic:
        raise InputError(
            f"--kind levels shows how edges are shared among pairs of levels, and {subject.name} "
            f"({subject.graph.attributes['network']}) has one pair; use --kind adjacency or degrees"
        )
    figure = style.new_figure(HEIGHT, "Level-to-level flow: where the edges go", subject.title)
    axes = figure.add_subplot()
    flows = flows_of(subject)
    places = {level.index: position for position, level in enumerate(subject.levels)}
    reach = _reach(flows)
    most = max(1, *(flow.edges for flow in flows))
    # Thick arcs first, so that thin ones lie upon them.
    for flow in sorted(flows, key=lambda flow: -flow.edges):
        _draw_arc(axes, flow, places, most, reach)
    _draw_levels(axes, subject, places)
    _explain(figure, axes, subject, flows, reach)
    return figure


def _reach(flows: Sequence[Flow]) -> float:
    """The scale of ratios goes from 1 / reach to reach, wide enough that noise does not look like much."""
    farthest = max((abs(np.log(flow.ratio)) for flow in flows if flow.edges and flow.chance), default=0.0)
    return max(2.0, float(np.exp(farthest)))


def _scale(reach: float) -> LogNorm:
    return LogNorm(1 / reach, reach, clip=True)


def _draw_arc(axes: Axes, flow: Flow, places: dict[int, int], most: int, reach: float) -> None:
    """Half an ellipse, as high as it is long in levels, so that no number lies on another arc."""
    start, end = places[flow.source], places[flow.target]
    angle = np.linspace(np.pi, 0, 60)
    middle, span = (start + end) / 2, end - start
    x, y = middle + span / 2 * np.cos(angle), span * np.sin(angle)
    if flow.edges:
        width = 0.8 + (THICKEST - 0.8) * np.sqrt(flow.edges / most)
        colour = style.ratio_colours()(float(_scale(reach)(flow.ratio)))
        axes.plot(x, y, color=colour, linewidth=width, solid_capstyle="butt", zorder=2)
    else:
        axes.plot(x, y, color=style.GREY, linewidth=0.8, linestyle=style.DOTTED, zorder=2)
    axes.text(
        middle,
        span,
        f"{flow.edges:,}\n×{flow.ratio:.2f}" if flow.chance else "0",
        ha="center",
        va="center",
        fontsize=style.SMALL,
        linespacing=1.05,
        zorder=4,
        bbox={"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.9},
    )


def _draw_levels(axes: Axes, subject: Subject, places: dict[int, int]) -> None:
    """A bar below each level, as deep as it has nodes, split by status."""
    status, largest = subject.graph.nodes["status"], max(level.size for level in subject.levels)
    for level in subject.levels:
        here, top = status[level.first : level.end], 0.0
        for name, (colour, _) in style.NODE_STYLES.items():
            depth = DEPTH * float((here == name).sum()) / largest
            axes.bar(
                places[level.index],
                -depth,
                0.5,
                bottom=top,
                color=colour,
                hatch=HATCHES[name],
                edgecolor="white",
                linewidth=0,
                zorder=3,
            )
            top -= depth
    label_levels(axes, subject, subject.levels)
    axes.set_yticks([])
    axes.set_ylim(-DEPTH - 0.05, None)
    style.bare(axes)


def _explain(figure: Figure, axes: Axes, subject: Subject, flows: Sequence[Flow], reach: float) -> None:
    colours = ScalarMappable(_scale(reach), style.ratio_colours())
    bar = figure.colorbar(colours, ax=axes, location="right", shrink=0.8, aspect=35, pad=0.01)
    ticks = [
        value
        for value in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
        if 1 / reach <= value <= reach
    ]
    bar.set_ticks(ticks)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{value:g}"))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.spines["outline"].set_visible(False)
    bar.set_label("edges relative to random wirings of equal budget (mean)")
    total = sum(flow.edges for flow in flows)
    skipping = sum(flow.edges for flow in flows if flow.target - flow.source > 1)
    chance = sum(flow.chance for flow in flows if flow.target - flow.source > 1)
    share, expected = skipping / max(total, 1), chance / max(total, 1)
    text = "numbers: edges, and their ratio to those of random wirings (×1: as many); "
    text += f"{share:.0%} of the edges skip a level, {expected:.0%} by chance"
    if note := subject.carry_note:
        text += f"\n{note}"
    handles: list[Artist] = [
        Patch(facecolor=colour, hatch=HATCHES[name], edgecolor="white", label=f"{name} nodes")
        for name, (colour, _) in style.NODE_STYLES.items()
    ]
    handles.append(Line2D([], [], color=style.GREY, linewidth=5, label="edges, thickness ∝ √edges"))
    legend = axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=4,
        title=text,
        alignment="center",
    )
    legend.get_title().set_multialignment("center")
