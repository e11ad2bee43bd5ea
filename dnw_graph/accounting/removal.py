"""How much of a wiring has to run: by the 2019 program's rule, and by ours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from dnw_graph.accounting.exact import GraphArrays, Mask
from dnw_graph.accounting.model import count_live, wiring_arrays
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout
from dnw_graph.graph.status import DEAD, LIVE
from dnw_graph.models.network import WiredNetwork

NOTHING = "nothing"
NO_OUTGOING_EDGE = "no outgoing edge (2019)"
NOT_LIVE = "dead or constant (ours)"


@dataclass(frozen=True)
class Left:
    """What is left of a network after a removal: nodes and edges of the body, and the whole network's cost.

    nodes  stem channels included
    edges  between nodes that are left; a wired classifier's are in the cost only
    macs   per image
    """

    nodes: int
    edges: int
    params: int
    macs: int

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers, ready for JSON."""
        return {name: getattr(self, name) for name in ("nodes", "edges", "params", "macs")}


def after_removal(model: nn.Module) -> dict[str, Left]:
    """What is left by each rule: `NOTHING` removed, `NO_OUTGOING_EDGE`, and `NOT_LIVE`, in this order.

    Raises InputError for a network without a wiring.
    """
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{type(model).__name__} is a dense network, of which no node can be removed")
    graph = wiring_arrays(model)
    every = np.ones_like(graph.live)
    kept = {
        NOTHING: every,
        NO_OUTGOING_EDGE: kept_in_2019(model.layout, graph),
        NOT_LIVE: graph.live,
    }
    return {rule: _left(model, graph, nodes) for rule, nodes in kept.items()}


def kept_in_2019(layout: Layout, graph: GraphArrays) -> Mask:
    """[N] nodes that the 2019 program's "fast eval" keeps.

    A node that sends is kept if any edge leaves it, wherever the edge leads; a node of the last level if
    any edge enters it. A carry is an edge here, as that program never removed nodes from its tiny networks.
    There, edges at positions that are never read kept nodes too; our graph does not have them.
    """
    kept: Mask = np.zeros_like(graph.live)
    last = layout.levels[-1]
    kept[graph.source] = True
    kept[graph.target[graph.target >= last.first]] = True
    carried = layout.carried_from()
    kept[carried[carried >= 0]] = True
    kept[carried >= 0] = True
    return kept


def _left(model: WiredNetwork, graph: GraphArrays, nodes: Mask) -> Left:
    running = replace(graph, status=np.where(nodes, LIVE, DEAD))
    report = count_live(model, running)
    return Left(int(nodes.sum()), int(running.live_edges.sum()), report.params, report.macs)
