"""The whole wiring in one picture: its nodes level by level, its strongest edges, and how many there are."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.path import Path as Curve

from dnw_graph.errors import InputError
from dnw_graph.figures.pair_map import draw_pair_map
from dnw_graph.graph.layout import Layout
from dnw_graph.interchange.check import layout_of
from dnw_graph.interchange.file import write_bytes
from dnw_graph.interchange.graph import Array, Graph

SUFFIXES = (".png", ".svg", ".pdf")
SIZE, DPI = (15.0, 11.0), 110
"""Inches, and pixels per inch of a PNG."""

MAX_LINES = 250
"""Edges drawn one by one; more of them would hide each other."""

# Okabe and Ito's palette; markers and dashes tell the kinds apart in grey print too.
_NODE_STYLES = {"live": ("#009E73", "o"), "constant": ("#E69F00", "^"), "dead": ("#8C8C8C", "x")}
_SIGN_STYLES: dict[str, tuple[str, tuple[float, tuple[float, ...]]]] = {
    "positive": ("#0072B2", (0, ())),
    "negative": ("#D55E00", (0, (3, 1.5))),
}
_SHADES = ("#F1F1F1", "#FFFFFF")
_BLOCK_WIDTH = 0.5


def draw_layered(graph: Graph, path: str | Path) -> None:
    """Draw a wiring to a PNG, SVG or PDF file; the suffix says which.

    Above, a column per level with a mark for each node, and the strongest edges; below, how many edges join
    each pair of levels. Raises InputError for another suffix, or a place that cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"{path}: the suffix {path.suffix!r} names no picture; use {', '.join(SUFFIXES)}")
    # Without a date and with fixed names, the same graph gives the same bytes.
    dateless = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with matplotlib.rc_context({"svg.hashsalt": "dnw-graph", "font.size": 10}):
        figure, content = layered_figure(graph), io.BytesIO()
        figure.savefig(content, format=suffix[1:], dpi=DPI, metadata=dateless[suffix])
    write_bytes(path, content.getvalue())


def layered_figure(graph: Graph) -> Figure:
    """The picture, not yet in a file."""
    layout = layout_of(graph, "graph")
    figure = Figure(figsize=SIZE, layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(2.4, 1), width_ratios=(60, 1))
    above, below = figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0])
    figure.suptitle(_title(graph), fontsize=13)
    places = _places(graph, layout)
    drawn = strongest_edges(graph, MAX_LINES)
    _shade_stages(above, layout)
    _draw_edges(above, graph, drawn, places)
    _draw_nodes(above, graph, places)
    _label_levels(above, graph, layout)
    above.legend(
        handles=_legend(graph),
        loc="upper center",
        bbox_to_anchor=(0.5, 1.09),
        ncols=5,
        frameon=False,
        title=_explanation(graph, drawn),
    )
    draw_pair_map(below, figure.add_subplot(grid[1, 1]), graph, layout)
    return figure


def strongest_edges(graph: Graph, count: int) -> Array:
    """Positions of about `count` edges: of each pair of levels the strongest, in proportion to √edges.

    Edges at a dead node change nothing and are left out.
    """
    alive = graph.nodes["status"] != "dead"
    level, source, target = graph.nodes["level"], graph.edges["source"], graph.edges["target"]
    (useful,) = np.nonzero(alive[source] & alive[target])
    strength = np.abs(graph.edges["weight"][useful])
    pair = level[source[useful]] * (level.max() + 1) + level[target[useful]]
    order = useful[np.lexsort((-strength, pair))]
    _, sizes = np.unique(pair, return_counts=True)
    share = np.sqrt(sizes)
    quotas = np.minimum(sizes, np.maximum(1, count * share / max(share.sum(), 1))).astype(int)
    starts = np.cumsum(sizes) - sizes
    parts = [order[start : start + quota] for start, quota in zip(starts, quotas, strict=True)]
    return np.concatenate(parts) if parts else order


def _title(graph: Graph) -> str:
    status = graph.nodes["status"]
    counts = ", ".join(f"{(status == name).sum():,} {name}" for name in _NODE_STYLES)
    live = status == "live"
    both = int((live[graph.edges["source"]] & live[graph.edges["target"]]).sum())
    return (
        f"{graph.attributes.get('network', 'wiring')}, rule {graph.attributes.get('rule', 'unknown')}: "
        f"{graph.num_nodes:,} nodes ({counts}), {graph.num_edges:,} edges ({both:,} between live nodes)"
    )


def _places(graph: Graph, layout: Layout) -> Array:
    """Where each node is drawn, [N, 2]: row by row within its level's block, live nodes on top."""
    largest = max(level.size for level in layout.levels)
    rows = min(largest, int(np.ceil(np.sqrt(16 * largest))))
    step = _BLOCK_WIDTH / max(-(-largest // rows), 4)
    rank = np.select([graph.nodes["status"] == name for name in _NODE_STYLES], range(len(_NODE_STYLES)))
    places = np.empty((graph.num_nodes, 2))
    for level in layout.levels:
        order = level.first + np.argsort(rank[level.first : level.end], kind="stable")
        columns = -(-level.size // rows)
        row, column = np.divmod(np.arange(level.size), columns)
        places[order, 0] = level.index + (column - (columns - 1) / 2) * step
        places[order, 1] = row[-1] / 2 - row
    places[:, 1] /= max(float(places[:, 1].max()), 1.0)
    return places


def _draw_nodes(axes: Axes, graph: Graph, places: Array) -> None:
    crowd = np.bincount(graph.nodes["level"]).max()
    size = float(np.clip(9000 / crowd, 7, 22))
    for name, (colour, marker) in _NODE_STYLES.items():
        here = graph.nodes["status"] == name
        axes.scatter(
            places[here, 0],
            places[here, 1],
            s=size,
            c=colour,
            marker=marker,
            linewidths=0.8 if marker == "x" else 0,
            zorder=3,
        )


def _draw_edges(axes: Axes, graph: Graph, drawn: Array, places: Array) -> None:
    """Curves that leave and arrive horizontally, so that they can be told from the blocks they pass."""
    weight = graph.edges["weight"][drawn]
    for sign, chosen in (("positive", drawn[weight >= 0]), ("negative", drawn[weight < 0])):
        colour, dashes = _SIGN_STYLES[sign]
        curves = []
        for start, end in zip(
            places[graph.edges["source"][chosen]], places[graph.edges["target"][chosen]], strict=True
        ):
            bend = np.array([(end[0] - start[0]) * 0.45, 0.0])
            steps = [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4]
            curves.append(Curve(np.array([start, start + bend, end - bend, end]), steps))
        lines = PathCollection(
            curves, facecolors="none", edgecolors=colour, linewidths=0.8, alpha=0.6, zorder=2
        )
        lines.set_linestyle([dashes])
        axes.add_collection(lines)


def _shade_stages(axes: Axes, layout: Layout) -> None:
    for stage in range(-1, len(layout.stages)):
        levels = [level.index for level in layout.levels if level.stage == stage]
        axes.axvspan(levels[0] - 0.5, levels[-1] + 0.5, color=_SHADES[stage % 2], zorder=0)
        name = "stem" if stage < 0 else f"stage {stage}"
        axes.text((levels[0] + levels[-1]) / 2, 1.07, name, ha="center", va="bottom", fontsize=11)


def _label_levels(axes: Axes, graph: Graph, layout: Layout) -> None:
    labels = []
    for level in layout.levels:
        here = slice(level.first, level.end)
        live = int((graph.nodes["status"][here] == "live").sum())
        side = graph.nodes["resolution"][level.first]
        labels.append(f"level {level.index}\n{level.size:,} nodes\n{live:,} live\n{side}×{side} px")
    axes.set_xticks(range(len(labels)), labels, fontsize=10 if len(labels) < 10 else 9)
    axes.set_yticks([])
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.set_ylim(-1.05, 1.19)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _explanation(graph: Graph, drawn: Array) -> str:
    lines = f"lines: {len(drawn):,} of {graph.num_edges:,} edges, the strongest of each pair of levels"
    return f"{lines}; nodes: live on top, dead at the bottom"


def _legend(graph: Graph) -> list[Line2D]:
    status = graph.nodes["status"]
    nodes = [
        Line2D(
            [],
            [],
            color=colour,
            marker=marker,
            linestyle="none",
            label=f"{name} node ({(status == name).sum():,})",
        )
        for name, (colour, marker) in _NODE_STYLES.items()
    ]
    edges = [
        Line2D([], [], color=colour, linestyle=dashes, linewidth=1.5, label=f"{sign} weight")
        for sign, (colour, dashes) in _SIGN_STYLES.items()
    ]
    return nodes + edges
