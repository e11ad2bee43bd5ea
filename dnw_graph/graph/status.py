"""Codes of what a node is there for: live, constant or dead (see `dnw_graph.program.status`)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dnw_graph.graph.layout import Ints

DEAD, CONSTANT, LIVE = 0, 1, 2
STATUS_NAMES = ("dead", "constant", "live")

Flags = npt.NDArray[np.bool_]


def edge_is_live(status: Ints, source: Ints, target: Ints) -> Flags:
    """[edges] bool: an edge is live if both its ends are."""
    return (status[source] == LIVE) & (status[target] == LIVE)
