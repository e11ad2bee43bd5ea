"""How many edges join each pair of levels, as a map."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from dnw_graph.graph.layout import Layout
from dnw_graph.interchange.graph import Array, Graph


def draw_pair_map(axes: Axes, bar: Axes, graph: Graph, layout: Layout) -> None:
    """Rows: level that sends; columns: level that receives; numbers: edges; shade: share of the candidates.

    Pairs that no candidate edge joins stay empty. `bar` takes the scale.
    """
    edges, candidates = pair_counts(graph, layout)
    share = np.divide(100 * edges, candidates, out=np.full(edges.shape, np.nan), where=candidates > 0)
    senders = len(layout.levels) - 1
    top = max(float(np.nanmax(share)), 1e-9)
    image = axes.pcolormesh(
        np.arange(len(layout.levels) + 1) - 0.5,
        np.arange(senders + 1) - 0.5,
        share[:senders],
        cmap="Blues",
        norm=Normalize(0, top),
        edgecolors="white",
        linewidth=1,
    )
    for source, target in zip(*np.nonzero(candidates), strict=True):
        dark = share[source, target] > 0.6 * top
        axes.text(
            target,
            source,
            f"{edges[source, target]:,}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if dark else "black",
        )
    axes.set_xlim(-0.5, len(layout.levels) - 0.5)
    axes.set_ylim(senders - 0.5, -0.5)
    axes.set_xticks(range(len(layout.levels)))
    axes.set_yticks(range(senders))
    axes.set_xlabel("to level")
    axes.set_ylabel("from level")
    axes.set_title(_caption(layout), fontsize=10)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    scale = axes.figure.colorbar(image, cax=bar)
    scale.set_label("edges in the wiring,\n% of the candidates")
    scale.outline.set_visible(False)


def pair_counts(graph: Graph, layout: Layout) -> tuple[Array, Array]:
    """(edges, candidate edges) from each level (row) to each level (column), int64 [levels, levels]."""
    level, count = graph.nodes["level"], len(layout.levels)
    pair = level[graph.edges["source"]] * count + level[graph.edges["target"]]
    edges = np.bincount(pair, minlength=count**2).reshape(count, count)
    candidates = np.zeros_like(edges)
    for stage in layout.stages:
        for sender, block in zip(stage.levels, stage.blocks, strict=False):
            for receiver in stage.levels:
                if block.target <= receiver.first < block.target + block.num_targets:
                    candidates[sender.index, receiver.index] = sender.size * receiver.size
    return edges, candidates


def _caption(layout: Layout) -> str:
    text = "number of edges from level to level"
    if layout.carry:
        last = layout.levels[-1].index
        text += f" (besides, each node of level {last} starts from the state of its twin in level {last - 1})"
    return text
