"""The whole wiring in one picture: its nodes level by level, its strongest edges, and how many there are."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path as Curve

from dnw_graph.figures import style
from dnw_graph.figures.binned import pairs_of
from dnw_graph.figures.level_axis import label_levels
from dnw_graph.figures.pair_map import draw_pair_map
from dnw_graph.figures.subject import Subject
from dnw_graph.interchange.graph import Array

HEIGHT = 9.4
MAX_LINES, LINES_PER_PAIR = 250, 60
"""Edges drawn one by one, in all and for a pair of levels on average; more of them would hide each other."""

_SHADES = (style.PALE, "#FFFFFF")
_BLOCK_WIDTH = 0.5


def layered_figure(subject: Subject) -> Figure:
    """A column per level with a mark for each node, and the strongest edges; below, all edges as totals."""
    figure = style.new_figure(HEIGHT, "Layers: the nodes, and the strongest edges", subject.title)
    if subject.is_dynamic:
        above = figure.add_subplot()
    else:
        grid = figure.add_gridspec(2, 2, height_ratios=(2.2, 1), width_ratios=(60, 1))
        above = figure.add_subplot(grid[0, 0])
        draw_pair_map(figure.add_subplot(grid[1, 0]), figure.add_subplot(grid[1, 1]), subject)
    drawn = draw_layers(above, subject)
    label_levels(above, subject, subject.levels)
    which = "the strongest" if subject.is_dynamic else "the strongest of each pair of levels"
    above.legend(
        handles=_legend(subject),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=5,
        title=f"lines: {drawn:,} of {len(subject.edges):,} edges, {which}; "
        "nodes: live on top, dead at the bottom",
        alignment="center",
    )
    return figure


def draw_layers(axes: Axes, subject: Subject) -> int:
    """A column per level with a mark for each node, and the strongest edges; returns how many those are."""
    places = _places(subject)
    pairs = sum(len(pairs_of(stage)) for stage in subject.stages)
    drawn = strongest_edges(subject, min(MAX_LINES, LINES_PER_PAIR * pairs))
    _shade_stages(axes, subject)
    _draw_edges(axes, subject, drawn, places)
    _draw_nodes(axes, subject, places)
    axes.set_xlim(-0.5, len(subject.levels) - 0.5)
    axes.set_ylim(-1.05, 1.19)
    axes.set_yticks([])
    style.bare(axes)
    return len(drawn)


def strongest_edges(subject: Subject, count: int) -> Array:
    """Positions of about `count` edges: of each pair of levels the strongest, in proportion to √edges.

    Edges at a dead node change nothing and are left out.
    """
    wiring, alive = subject.wiring, subject.graph.nodes["status"] != "dead"
    assert wiring.weight is not None
    useful = subject.edges[alive[wiring.source[subject.edges]] & alive[wiring.target[subject.edges]]]
    strength = np.abs(wiring.weight[useful])
    pair = (
        wiring.level[wiring.source[useful]] * (wiring.level.max() + 1) + wiring.level[wiring.target[useful]]
    )
    order = useful[np.lexsort((-strength, pair))]
    _, sizes = np.unique(pair, return_counts=True)
    share = np.sqrt(sizes)
    quotas = np.minimum(sizes, np.maximum(1, count * share / max(share.sum(), 1))).astype(int)
    starts = np.cumsum(sizes) - sizes
    parts = [order[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.concatenate(parts) if parts else order


def _places(subject: Subject) -> Array:
    """Where each node is drawn, [N, 2]: row by row within its level's block, live nodes on top.

    NaN for the nodes of levels that are not drawn.
    """
    largest = max(level.size for level in subject.levels)
    rows = min(largest, int(np.ceil(np.sqrt(16 * largest))))
    step = _BLOCK_WIDTH / max(-(-largest // rows), 4)
    status = subject.graph.nodes["status"]
    rank = np.select([status == name for name in style.NODE_STYLES], range(len(style.NODE_STYLES)))
    places = np.full((len(status), 2), np.nan)
    for place, level in enumerate(subject.levels):
        order = level.first + np.argsort(rank[level.first : level.end], kind="stable")
        columns = -(-level.size // rows)
        row, column = np.divmod(np.arange(level.size), columns)
        places[order, 0] = place + (column - (columns - 1) / 2) * step
        places[order, 1] = row[-1] / 2 - row
    places[:, 1] /= max(float(np.nanmax(places[:, 1])), 1.0)
    return places


def _draw_nodes(axes: Axes, subject: Subject, places: Array) -> None:
    crowd = max(level.size for level in subject.levels)
    size = float(np.clip(6000 / crowd, 5, 20))
    for name, (colour, marker) in style.NODE_STYLES.items():
        here = (subject.graph.nodes["status"] == name) & ~np.isnan(places[:, 0])
        axes.scatter(
            places[here, 0],
            places[here, 1],
            s=size,
            c=colour,
            marker=marker,
            linewidths=0.8 if marker == "x" else 0,
            zorder=3,
        )


def _draw_edges(axes: Axes, subject: Subject, drawn: Array, places: Array) -> None:
    """Curves that leave and arrive horizontally, so that they can be told from the blocks they pass."""
    wiring = subject.wiring
    assert wiring.weight is not None
    weight = wiring.weight[drawn]
    for sign, chosen in (("positive", drawn[weight >= 0]), ("negative", drawn[weight < 0])):
        colour, dashes = style.SIGN_STYLES[sign]
        curves = []
        for start, end in zip(places[wiring.source[chosen]], places[wiring.target[chosen]], strict=True):
            bend = np.array([(end[0] - start[0]) * 0.45, 0.0])
            steps = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
            curves.append(Curve(np.array([start, start + bend, end - bend, end]), steps))
        lines = PathCollection(
            curves, facecolors="none", edgecolors=colour, linewidths=0.8, alpha=0.6, zorder=2
        )
        lines.set_linestyle([dashes])
        axes.add_collection(lines)


def _shade_stages(axes: Axes, subject: Subject) -> None:
    """A band per stage; the levels that receive in no drawn stage are its input, or the stem's channels."""
    drawn = {stage.index for stage in subject.stages}
    bands = dict.fromkeys(level.stage for level in subject.levels)
    for stage in bands:
        places = [place for place, level in enumerate(subject.levels) if level.stage == stage]
        axes.axvspan(places[0] - 0.5, places[-1] + 0.5, color=_SHADES[stage % 2], zorder=0)
        if subject.is_dynamic:
            name = "states before an evaluation" if stage < 0 else "states after"
        else:
            name = _band_name(stage, drawn)
        axes.text((places[0] + places[-1]) / 2, 1.07, name, ha="center", va="bottom")


def _band_name(stage: int, drawn: set[int]) -> str:
    if stage < 0:
        return "stem"
    return f"stage {stage}" if stage in drawn else f"input (stage {stage})"


def _legend(subject: Subject) -> list[Line2D]:
    # A dynamic network has each node twice, with the same status.
    levels = subject.levels[:1] if subject.is_dynamic else subject.levels
    status = np.concatenate([subject.graph.nodes["status"][level.first : level.end] for level in levels])
    nodes = [
        Line2D(
            [],
            [],
            color=colour,
            marker=marker,
            linestyle="none",
            label=f"{name} node ({(status == name).sum():,})",
        )
        for name, (colour, marker) in style.NODE_STYLES.items()
    ]
    edges = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=1.5, label=f"{sign} weight")
        for sign, (colour, dashes) in style.SIGN_STYLES.items()
    ]
    return nodes + edges
