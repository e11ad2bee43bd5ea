"""Kernels: the 3×3 convolutions of the busiest nodes, as squares whose areas the eye compares."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from dnw_graph.analysis.degrees import Degrees
from dnw_graph.figures import style
from dnw_graph.figures.node_degrees import node_degrees
from dnw_graph.figures.subject import Subject
from dnw_graph.graph.layout import Ints, Level
from dnw_graph.interchange.graph import Array

ROWS = 5
MIN_COLUMNS = 10
"""Of kernels, so that they are about one size in every figure; few levels get several columns each."""
SIDE, PITCH, GAP = 0.78, 1.32, 0.5
"""Of a kernel, from row to row, and between levels of several columns; kernels stand 1 apart."""
MARGIN = 1.35
"""Inches for titles and legend."""


def busiest_nodes(level: Level, degrees: Degrees, status: Array, count: int) -> Ints:
    """Nodes of a level with most edges, in and out, the busiest first; of equals the lowest number.

    Dead nodes come last: their kernels are never used.
    """
    nodes = np.arange(level.first, level.end)
    order = np.lexsort((nodes, -degrees.total[nodes], status[nodes] == "dead"))
    chosen: Ints = nodes[order[:count]]
    return chosen


def kernels_figure(subject: Subject) -> Figure:
    """A block per sending level, the busiest nodes first; filled squares add, hollow ones subtract."""
    senders = {level.index: level for stage in subject.stages for level in stage.levels[:-1]}
    levels = [senders[index] for index in sorted(senders)]
    each = -(-MIN_COLUMNS // len(levels))
    gap = GAP if each > 1 else 0.1
    columns = len(levels) * (each + gap)
    rows = min(ROWS, -(-max(level.size for level in levels) // each))
    height = MARGIN + (style.WIDTH - 0.4) / columns * (rows * PITCH + 0.4)
    figure = style.new_figure(height, "Kernels: the 3×3 convolutions of the busiest nodes", subject.title)
    axes = figure.add_subplot()
    degrees, status = node_degrees(subject), subject.graph.nodes["status"]
    squares: dict[bool, list[Rectangle]] = {True: [], False: []}
    for number, level in enumerate(levels):
        left = number * (each + gap)
        _name(
            axes,
            left + (each - 1) / 2,
            "the busiest of all nodes" if subject.is_dynamic else f"level {level.index}",
        )
        for place, node in enumerate(busiest_nodes(level, degrees, status, each * rows)):
            middle = (left + place % each, -PITCH * (place // each))
            axes.add_patch(
                Rectangle((middle[0] - SIDE / 2, middle[1] - SIDE / 2), SIDE, SIDE, facecolor=style.PALE)
            )
            for adds, square in _squares(subject.graph.nodes["kernel"][node], middle):
                squares[adds].append(square)
            edges = f"{degrees.inward[node]:,} → {degrees.outward[node]:,}"
            text = f"#{node - level.first}{' (dead)' * bool(status[node] == 'dead')}\n{edges}"
            axes.text(middle[0], middle[1] - SIDE / 2 - 0.03, text, ha="center", va="top", fontsize=7.5)
    axes.add_collection(
        PatchCollection(squares[True], facecolor=style.BLUE, edgecolor=style.BLUE, linewidth=0.8)
    )
    axes.add_collection(
        PatchCollection(squares[False], facecolor="white", edgecolor=style.VERMILLION, linewidth=1.3)
    )
    axes.set(xlim=(-0.6, columns - gap - 0.4), ylim=(-PITCH * rows + 0.45, 0.85), aspect="equal")
    axes.set_axis_off()
    _explain(figure)
    return figure


def _squares(kernel: Array, middle: tuple[float, float]) -> Iterator[tuple[bool, Rectangle]]:
    """(adds, square) of each weight; areas are relative to the kernel's largest."""
    cell, largest = SIDE / 3, float(np.abs(kernel).max()) or 1.0
    for (row, column), weight in np.ndenumerate(kernel):
        side = 0.86 * cell * float(np.sqrt(abs(weight) / largest))
        x, y = middle[0] + (column - 1) * cell, middle[1] - (row - 1) * cell
        yield bool(weight >= 0), Rectangle((x - side / 2, y - side / 2), side, side)


def _name(axes: Axes, x: float, name: str) -> None:
    axes.text(x, SIDE / 2 + 0.12, name, ha="center", va="bottom", fontsize=style.FONT)


def _explain(figure: Figure) -> None:
    figure.legend(
        handles=[
            Patch(facecolor=style.BLUE, edgecolor=style.BLUE, label="positive weight"),
            Patch(facecolor="white", edgecolor=style.VERMILLION, linewidth=1.3, label="negative weight"),
        ],
        loc="outside lower center",
        ncols=2,
        title="area: weight relative to the kernel's largest; below: channel in its level, edges in → out",
        alignment="center",
    )
