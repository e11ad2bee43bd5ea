"""Which nodes matter: live, constant and dead."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dnw_graph.graph.layout import Ints, Layout

DEAD, CONSTANT, LIVE = 0, 1, 2
STATUS_NAMES = ("dead", "constant", "live")

Flags = npt.NDArray[np.bool_]


def node_status(layout: Layout, source: Ints, target: Ints, read: Flags | None = None) -> Ints:
    """Status code per node [num_nodes] int64, of the wiring with edges source → target.

    A node with a path from the stem and to the classifier is live; with a path to the classifier
    only, constant (it sends the same map for every image); all others are dead. The carry of a
    readout node is a link like an edge.

    read  [size of the last level] bool: which of its nodes the classifier reads; None: all
    """
    twins = layout.carried_from()
    (readouts,) = np.nonzero(twins >= 0)
    source = np.concatenate([source, twins[readouts]])
    target = np.concatenate([target, readouts])
    level = layout.per_node([entry.index for entry in layout.levels])
    groups = _by_level(level[source], len(layout.levels))

    from_stem = np.zeros(layout.num_nodes, dtype=bool)
    from_stem[: layout.levels[0].size] = True
    for edges in groups:
        reached = edges[from_stem[source[edges]]]
        from_stem[target[reached]] = True

    to_classifier = np.zeros(layout.num_nodes, dtype=bool)
    to_classifier[layout.levels[-1].first :] = True if read is None else read
    for edges in reversed(groups):
        useful = edges[to_classifier[target[edges]]]
        to_classifier[source[useful]] = True

    return np.where(to_classifier, np.where(from_stem, LIVE, CONSTANT), DEAD).astype(np.int64)


def edge_is_live(status: Ints, source: Ints, target: Ints) -> Flags:
    """[edges] bool: an edge is live if both its ends are."""
    return (status[source] == LIVE) & (status[target] == LIVE)


def _by_level(levels: Ints, count: int) -> list[Ints]:
    """Positions of the edges that leave each level, in level order."""
    order = np.argsort(levels, kind="stable")
    bounds = np.searchsorted(levels[order], np.arange(1, count))
    return np.split(order, bounds)
