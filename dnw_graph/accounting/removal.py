"""How much of a wiring has to run: by the 2019 program's rule, and by ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from dnw_graph.accounting.model import report_of
from dnw_graph.errors import InputError
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.program.liveness import Flags, kept_together, tied
from dnw_graph.program.program import IMAGES, LOGITS, Program
from dnw_graph.program.restrict import edge_ends, restricted
from dnw_graph.program.split import live_channels, reach_of
from dnw_graph.program.steps import Edges, targets_of
from dnw_graph.program.unroll import unrolled

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
    program = unrolled(lower(model))
    every: dict[str, Flags] = {name: np.ones(count, dtype=bool) for name, count in program.channels.items()}
    kept = {
        NOTHING: every,
        NO_OUTGOING_EDGE: kept_in_2019(program, model),
        NOT_LIVE: live_channels(program, reach_of(program)),
    }
    return {rule: _left(model, program, nodes) for rule, nodes in kept.items()}


def kept_in_2019(program: Program, model: WiredNetwork) -> dict[str, Flags]:
    """Per state [channels] bool: those that the 2019 program's "fast eval" keeps.

    A node that sends is kept if any edge leaves it, wherever the edge leads; a node of the last level if
    any edge enters it. A start from another node's state is an edge here, as that program never removed nodes
    from its tiny networks.
    There, edges at positions that are never read kept nodes too; our graph does not have them.
    """
    kept = {name: np.zeros(count, dtype=bool) for name, count in program.channels.items()}
    for step in program.steps:
        if isinstance(step, Edges) and step.part != "head":
            source, row = edge_ends(program, step)
            kept[step.source][source] = True
            output = targets_of(step)[-1]
            if output == model.body.output:
                before = sum(kept[name].size for name in targets_of(step)[:-1])
                kept[output][row[row >= before] - before] = True
    together = kept_together(program.steps, kept)
    names = tied(program.steps)
    body = {names[f"z{level.index}"] for level in model.layout.levels}
    # Other states, within the stem and at the very ends, stay whole as long as a stem channel does.
    rest = bool(together["z0"].any())
    return {
        name: flags if names.get(name) in body else np.full_like(flags, rest or name in (IMAGES, LOGITS))
        for name, flags in together.items()
    }


def _left(model: WiredNetwork, program: Program, kept: dict[str, Flags]) -> Left:
    left = restricted(program, kept, {})
    report = report_of(model, left)
    levels = [f"z{level.index}" for level in model.layout.levels]
    nodes = sum(left.channels[name] for name in levels)
    return Left(nodes, report.edges or 0, report.params, report.macs)
