"""Compare: two wirings of one network, by level, by edge and by node."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from scipy.stats import spearmanr

from dnw_graph.analysis.densities import densities_of
from dnw_graph.analysis.overlap import kinds_of
from dnw_graph.errors import InputError
from dnw_graph.figures import style
from dnw_graph.figures.binned import pairs_of
from dnw_graph.figures.node_degrees import node_degrees
from dnw_graph.figures.subject import Subject
from dnw_graph.graph.layout import Ints
from dnw_graph.interchange.graph import Array

HEIGHT = 9.6


def compare_figure(one: Subject, other: Subject) -> Figure:
    """Edges of each pair of levels, edges in common, degrees, and whether the same nodes are busy.

    Raises InputError for wirings of different networks.
    """
    if one.layout != other.layout:
        raise InputError(
            f"--with {other.name}: its network ({other.title}) is not that of {one.name} ({one.title}); give "
            "two runs of one network"
        )
    names = _names(one, other)
    lines = (
        f"{letter}: {name}, {subject.title}"
        for letter, name, subject in zip("AB", names, (one, other), strict=True)
    )
    figure = style.new_figure(HEIGHT, "Compare: two wirings of one network", "\n".join(lines))
    # All edges of a dynamic network join the same two levels.
    axes = figure.subplot_mosaic("CC;DN" if one.is_dynamic else "RC;DN", height_ratios=(1.1, 1))
    if not one.is_dynamic:
        _draw_ratios(axes["R"], one, other)
    _draw_common(axes["C"], one, other)
    _draw_distribution(axes["D"], one, other)
    _draw_nodes(axes["N"], one, other)
    return figure


def _names(one: Subject, other: Subject) -> tuple[str, str]:
    if one.name != other.name or one.run is None or other.run is None:
        return one.name, other.name
    return f"{one.run.parent.name}/{one.name}", f"{other.run.parent.name}/{other.name}"


def _draw_ratios(axes: Axes, one: Subject, other: Subject) -> None:
    """Edges of B beside those of A, from each level (row) to each level (column)."""
    mine, theirs = densities_of(one.wiring).edges, densities_of(other.wiring).edges
    rows = {level.index: place for place, level in enumerate(one.levels)}
    pairs = [(a.index, b.index) for stage in one.stages for a, b in pairs_of(stage)]
    ratios = {pair: (theirs[pair] + 0.5) / (mine[pair] + 0.5) for pair in pairs}
    reach = max(2.0, *(max(ratio, 1 / ratio) for ratio in ratios.values()))
    colours, norm = style.ratio_colours(), LogNorm(1 / reach, reach)
    shown = np.full((len(rows), len(rows)), np.nan)
    for (source, target), ratio in ratios.items():
        shown[rows[source], rows[target]] = ratio
        dark = abs(np.log(ratio)) > 0.6 * np.log(reach)
        text = f"×{ratio:.2f}" if mine[source, target] and theirs[source, target] else "0"
        axes.text(
            rows[target],
            rows[source],
            text,
            ha="center",
            va="center",
            fontsize=style.SMALL if len(rows) < 9 else 6.5,
            color="white" if dark else "black",
        )
    axes.imshow(shown, cmap=colours, norm=norm, aspect="auto")
    axes.set_xticks(range(len(rows)), [str(index) for index in rows])
    axes.set_yticks(range(len(rows)), [str(index) for index in rows])
    axes.set_xlim(0.5, None)
    axes.set_ylim(len(rows) - 1.5, None)
    axes.set(xlabel="to level", ylabel="from level")
    axes.set_title("edges of B relative to edges of A (×1: as many)")
    style.bare(axes)


def common_edges(one: Subject, other: Subject) -> tuple[Ints, Array]:
    """(edges that both have, the same by chance) by level in which they end, [levels].

    By chance: mean of random wirings with as many edges from each kind of node to each kind, see `kinds_of`.
    """
    layout = one.layout
    kinds, count = kinds_of(layout), 2 * len(layout.levels)
    mine, theirs = (
        np.bincount(
            kinds[each.wiring.source] * count + kinds[each.wiring.target], minlength=count**2
        ).reshape(count, count)
        for each in (one, other)
    )
    sizes = np.bincount(kinds, minlength=count)
    # Kind numbers go through the levels twice. Pairs without candidates have no edges either.
    chance = (mine * theirs / np.maximum(np.outer(sizes, sizes), 1)).sum(axis=0)
    common = np.zeros(count // 2, dtype=np.int64)
    for stage in layout.stages:
        ids = np.intersect1d(
            one.wiring.ids_of(stage.index), other.wiring.ids_of(stage.index), assume_unique=True
        )
        common += np.bincount(one.wiring.level[stage.ends(ids)[1]], minlength=len(common))
    return common, chance.reshape(2, -1).sum(axis=0)


def _draw_common(axes: Axes, one: Subject, other: Subject) -> None:
    common, chance = common_edges(one, other)
    levels = [level for stage in one.stages for level in stage.levels[1:]]
    indices = [level.index for level in levels]
    edges = np.bincount(one.wiring.level[one.wiring.target], minlength=len(common))[indices]
    places, total = np.arange(len(levels)), np.maximum(edges, 1)
    axes.bar(
        places - 0.2, 100 * common[indices] / total, 0.38, color=style.BLUE, label="edges of A that B has too"
    )
    axes.bar(
        places + 0.2,
        100 * chance[indices] / total,
        0.38,
        color="white",
        edgecolor=style.INK,
        linewidth=0.8,
        hatch="////",
        label="by chance, at the same densities",
    )
    axes.set_xticks(places, [one.name_of(level) for level in levels])
    both, all_edges = int(common[indices].sum()), max(int(edges.sum()), 1)
    expected = chance[indices].sum() / all_edges
    axes.set_title(f"in common: {both:,} edges, {both / all_edges:.1%} of A, {expected:.1%} by chance")
    if one.is_dynamic:
        axes.set(xticks=[], xlim=(-2, 2), ylabel="% of A's edges")
    else:
        axes.set(xlabel="level in which the edges end", ylabel="% of A's edges into the level")
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)
    axes.legend(loc="upper right")
    style.ruled(axes)


def _degrees(subject: Subject) -> Ints:
    """Edges of each drawn node within the drawn stages, in and out."""
    levels = subject.levels[:1] if subject.is_dynamic else subject.levels
    nodes = np.concatenate([np.arange(level.first, level.end) for level in levels])
    if subject.is_whole:
        return node_degrees(subject).total[nodes]
    ends = (subject.wiring.source[subject.edges], subject.wiring.target[subject.edges])
    total = sum(np.bincount(each, minlength=subject.layout.num_nodes) for each in ends)
    chosen: Ints = np.asarray(total)[nodes]
    return chosen


def _draw_distribution(axes: Axes, one: Subject, other: Subject) -> None:
    """Share of the nodes with at least so many edges."""
    looks = ((one, "A", style.BLUE, style.SOLID), (other, "B", style.VERMILLION, style.DASHED))
    for subject, name, colour, dashes in looks:
        degrees = _degrees(subject)
        reach = np.arange(degrees.max() + 2)
        share = 100 * (1 - np.searchsorted(np.sort(degrees), reach) / len(degrees))
        axes.step(reach, share, where="post", color=colour, linestyle=dashes, linewidth=2, label=name)
    axes.set_yscale("log")
    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_xlim(-0.1, None)
    axes.set(xlabel="edges, in and out", ylabel="nodes with at least so many edges, %")
    axes.set_title("how the edges are shared among the nodes")
    axes.legend()
    style.ruled(axes, "both")


def _draw_nodes(axes: Axes, one: Subject, other: Subject) -> None:
    mine, theirs = _degrees(one), _degrees(other)
    axes.scatter(mine, theirs, s=5 if len(mine) < 2000 else 2, color=style.BLUE, alpha=0.5, linewidths=0)
    top = 1.05 * max(int(mine.max()), int(theirs.max()), 1)
    axes.plot([0, top], [0, top], color=style.GREY, linewidth=0.8, linestyle=style.DASHED)
    axes.set(xlim=(-0.02 * top, top), ylim=(-0.02 * top, top), xlabel="edges in A", ylabel="edges in B")
    varied = len(np.unique(mine)) > 1 and len(np.unique(theirs)) > 1
    agreement = f": rank correlation {spearmanr(mine, theirs).statistic:.2f}" if varied else ""
    axes.set_title(f"each node's edges in A and in B{agreement}")
    style.ruled(axes, "both")
