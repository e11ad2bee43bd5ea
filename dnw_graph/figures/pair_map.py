"""How many edges join each pair of levels, as a map."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from dnw_graph.analysis.densities import densities_of
from dnw_graph.figures import style
from dnw_graph.figures.subject import Subject


def draw_pair_map(axes: Axes, bar: Axes, subject: Subject) -> None:
    """Rows: level that sends; columns: level that receives; numbers: edges; shade: share of the candidates.

    Columns are the subject's levels, as in the picture above it; pairs without candidates stay empty. `bar`
    takes the scale.
    """
    members = [level.index for level in subject.levels]
    found = densities_of(subject.wiring)
    here = np.ix_(members[:-1], members)
    edges, share = found.edges[here], 100 * found.density[here]
    top = float(np.nanmax(share)) or 100.0
    columns, rows = len(members), len(members) - 1
    image = axes.pcolormesh(
        np.arange(columns + 1) - 0.5,
        np.arange(rows + 1) - 0.5,
        share,
        cmap="Blues",
        norm=Normalize(0, top),
        edgecolors="white",
        linewidth=1,
    )
    for source, target in zip(*np.nonzero(~np.isnan(share)), strict=True):
        dark = share[source, target] > 0.6 * top
        axes.text(
            target,
            source,
            f"{edges[source, target]:,}",
            ha="center",
            va="center",
            fontsize=style.SMALL,
            color="white" if dark else "black",
        )
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks(range(columns), [str(index) for index in members])
    axes.set_yticks(range(rows), [str(index) for index in members[:-1]])
    axes.set_xlabel("to level")
    axes.set_ylabel("from level")
    note = f" ({subject.carry_note})" if subject.carry_note else ""
    axes.set_title(f"all edges, from level to level{note}")
    style.bare(axes)
    assert axes.figure is not None
    scale = axes.figure.colorbar(image, cax=bar)
    scale.set_label("% of the candidates")
    scale.ax.spines["outline"].set_visible(False)
