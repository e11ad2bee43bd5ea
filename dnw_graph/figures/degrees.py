"""Degrees: how many edges nodes have, beside random wirings of equal budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from scipy.stats import hypergeom

from dnw_graph.analysis.degrees import degrees_of
from dnw_graph.analysis.densities import candidate_pairs
from dnw_graph.figures import style
from dnw_graph.figures.level_axis import label_levels
from dnw_graph.figures.subject import Subject
from dnw_graph.graph.layout import Ints, Level
from dnw_graph.portable.graph import Array

HEIGHT = 8.4
PERCENTILES = (1, 25, 50, 75, 99)


@dataclass(frozen=True)
class LevelDegrees:
    """Degrees of the nodes of one level, in one direction.

    degrees     int64 [nodes of the level], edges
    candidates  of each of its nodes;  drawn  edges of the stage;  possible  candidates of the stage
    """

    level: Level
    degrees: Ints
    candidates: int
    drawn: int
    possible: int

    def chance(self, degrees: Array) -> Array:
        """Probability that a node of a random wiring of equal budget has so many edges (hypergeometric)."""
        found: Array = hypergeom.pmf(degrees, self.possible, self.candidates, self.drawn)
        return found

    def chance_percentiles(self) -> list[float]:
        shares = np.array(PERCENTILES) / 100
        return [float(each) for each in hypergeom.ppf(shares, self.possible, self.candidates, self.drawn)]


def level_degrees(subject: Subject) -> tuple[list[LevelDegrees], list[LevelDegrees]]:
    """(in-degrees of the receiving levels, out-degrees of the sending levels) of the drawn stages."""
    degrees, pairs = degrees_of(subject.wiring), candidate_pairs(subject.layout)
    inward: list[LevelDegrees] = []
    outward: list[LevelDegrees] = []
    for stage in subject.stages:
        members = [level.index for level in stage.levels]
        here = pairs[np.ix_(members, members)]
        drawn, possible = subject.wiring.budgets[stage.index], stage.num_candidates
        for position, level in enumerate(stage.levels):
            nodes = slice(level.first, level.end)
            for found, values, candidates in (
                (inward, degrees.inward, here[:, position].sum()),
                (outward, degrees.outward, here[position].sum()),
            ):
                if candidates:
                    each = int(candidates) // level.size
                    found.append(LevelDegrees(level, values[nodes], each, drawn, possible))
    return inward, outward


def degrees_figure(subject: Subject) -> Figure:
    """Above, the spread in each level; below, the distribution over all levels; left in, right out."""
    figure = style.new_figure(HEIGHT, "Degrees: how the edges are shared among the nodes", subject.title)
    axes = figure.subplots(2, 2, height_ratios=(1, 1))
    titles = ("in-degree: edges that a node receives", "out-degree: edges that a node sends")
    for column, (found, title) in enumerate(zip(level_degrees(subject), titles, strict=True)):
        _draw_boxes(axes[0, column], subject, found)
        axes[0, column].set_title(title, fontweight="bold")
        _draw_distribution(axes[1, column], found)
    rule = subject.graph.attributes.get("rule", "unknown")
    figure.legend(
        handles=[
            Patch(facecolor=style.BLUE, label=f"this wiring (rule {rule})"),
            Patch(
                facecolor="white",
                edgecolor=style.INK,
                hatch="////",
                label="random wirings of equal budget (below: dashed)",
            ),
        ],
        loc="outside lower center",
        ncols=2,
        title="box: middle half of the nodes; line: median; whiskers: 1st to 99th percentile; dot: largest",
        alignment="center",
    )
    return figure


def _draw_boxes(axes: Axes, subject: Subject, found: Sequence[LevelDegrees]) -> None:
    mine = [np.percentile(each.degrees, PERCENTILES).tolist() for each in found]
    chance = [each.chance_percentiles() for each in found]
    busiest = [int(each.degrees.max()) for each in found]
    looks = (
        (-0.2, {"facecolor": style.BLUE, "edgecolor": style.BLUE}, "white", style.BLUE),
        (0.2, {"facecolor": "white", "edgecolor": style.INK, "hatch": "////"}, style.INK, style.INK),
    )
    for (shift, box, median, line), rows in zip(looks, (mine, chance), strict=True):
        axes.bxp(
            [_box(row) for row in rows],
            positions=[place + shift for place in range(len(rows))],
            widths=0.34,
            patch_artist=True,
            showfliers=False,
            boxprops={**box, "linewidth": 0.8},
            medianprops={"color": median, "linewidth": 2 if median == "white" else 1.6},
            whiskerprops={"color": line},
            capprops={"color": line},
            manage_ticks=False,
        )
    axes.plot(np.arange(len(found)) - 0.2, busiest, "o", color=style.BLUE, markersize=4)
    _degree_axis(axes, "y", max([*busiest, *(row[-1] for row in chance)]))
    axes.set_ylabel("edges of a node")
    style.ruled(axes)
    label_levels(axes, subject, [each.level for each in found], size=style.SMALL if len(found) < 9 else 7.5)


def _box(row: Sequence[float]) -> dict[str, float]:
    return dict(zip(("whislo", "q1", "med", "q3", "whishi"), row, strict=True))


def _draw_distribution(axes: Axes, found: Sequence[LevelDegrees]) -> None:
    """Share of the nodes with at least so many edges."""
    degrees = np.concatenate([each.degrees for each in found])
    reach = np.arange(int(max(degrees.max(), max(each.chance_percentiles()[-1] for each in found))) + 2)
    mine = np.array([(degrees >= edges).mean() for edges in reach])
    nodes = np.array([each.level.size for each in found])
    density = np.average([each.chance(reach) for each in found], axis=0, weights=nodes)
    chance = np.maximum(1 - np.concatenate([[0.0], np.cumsum(density)[:-1]]), 0)
    axes.step(reach, 100 * mine, where="post", color=style.BLUE, linewidth=2)
    axes.step(reach, 100 * chance, where="post", color=style.INK, linewidth=1.4, linestyle=style.DASHED)
    lowest = 100 / len(degrees)
    axes.set_yscale("log")
    axes.set_ylim(lowest / 1.6, 130)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _degree_axis(axes, "x", int(reach[-1]))
    axes.set_xlabel("edges")
    axes.set_ylabel("nodes with at least so many edges, %")
    style.ruled(axes, "both")
    without = f"without an edge: {(degrees == 0).mean():.1%} of the nodes, {density[0]:.1%} by chance"
    axes.set_title(f"{without}; mean {degrees.mean():.1f}")


def _degree_axis(axes: Axes, which: str, most: float) -> None:
    """A logarithmic scale with a place for 0."""
    axis = axes.yaxis if which == "y" else axes.xaxis
    getattr(axes, f"set_{which}scale")("symlog", linthresh=1, linscale=0.5)
    steps = (1, 2, 5) if most < 300 else (1, 3)
    ticks = [0, *(step * 10**power for power in range(6) for step in steps if step * 10**power <= most * 1.3)]
    axis.set_ticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.set_ticks([], minor=True)
    getattr(axes, f"set_{which}lim")(-0.1, most * 1.3 + 1)
