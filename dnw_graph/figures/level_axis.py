"""Levels as columns: their numbers, nodes and pixels below an axis."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from dnw_graph.figures import style
from dnw_graph.figures.subject import Subject
from dnw_graph.graph.layout import Level

_PAD = 3.5
ROWS = "level\nnodes\nlive\nside, px"


def label_levels(axes: Axes, subject: Subject, levels: Sequence[Level], *, size: float = style.SMALL) -> None:
    """Four numbers below each column 0, 1, …: level, nodes, live nodes, side of the maps in pixels."""
    nodes, labels = subject.graph.nodes, []
    for level in levels:
        live = int((nodes["status"][level.first : level.end] == "live").sum())
        labels.append(
            f"{subject.name_of(level)}\n{level.size:,}\n{live:,}\n{nodes['resolution'][level.first]}"
        )
    axes.set_xticks(range(len(labels)), labels, fontsize=size)
    axes.set_xlim(-0.5, len(labels) - 0.5)
    axes.tick_params(axis="x", length=0, pad=_PAD)
    axes.annotate(
        ROWS.replace("level", "states") if subject.is_dynamic else ROWS,
        (0, 0),
        xytext=(-6, -_PAD),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="top",
        fontsize=size,
        color="#555555",
    )
