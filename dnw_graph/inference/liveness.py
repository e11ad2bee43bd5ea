"""Which nodes of a network have to run, level by level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dnw_graph.graph.channel_graph import selected_ends
from dnw_graph.graph.status import CONSTANT, LIVE, node_status
from dnw_graph.models.network import WiredNetwork


@dataclass(frozen=True)
class Liveness:
    """Per level, the numbers within the level of its live and of its constant nodes, ascending int64."""

    live: list[Tensor]
    constant: list[Tensor]


def liveness(model: WiredNetwork) -> Liveness:
    """Status of every node of the body under the current wiring."""
    layout = model.layout
    source, target = selected_ends(layout, [stage.ids for stage in model.body_stages()])
    status = torch.from_numpy(node_status(layout, source, target, model.outputs_read()))
    levels = [status[level.first : level.end] for level in layout.levels]
    return Liveness(
        live=[torch.nonzero(codes == LIVE).squeeze(1) for codes in levels],
        constant=[torch.nonzero(codes == CONSTANT).squeeze(1) for codes in levels],
    )
