"""The wiring as one acyclic DGL graph of channel nodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from dnw_graph.dependencies import load_dgl
from dnw_graph.graph.layout import Ints, Layout

if TYPE_CHECKING:
    import dgl


def selected_ends(layout: Layout, selected: Sequence[Tensor]) -> tuple[Ints, Ints]:
    """Selected candidate ids per stage → (source, target) node numbers of all edges, stage by stage."""
    ends = [stage.ends(ids.cpu().numpy()) for stage, ids in zip(layout.stages, selected, strict=True)]
    return np.concatenate([source for source, _ in ends]), np.concatenate([target for _, target in ends])


def channel_graph(
    layout: Layout,
    selected: Sequence[Tensor],
    weights: Sequence[Tensor],
    side: int,
    status: Ints,
) -> dgl.DGLGraph:
    """The wiring of a whole body as a `dgl.DGLGraph`, on the CPU.

    selected  per stage, candidate ids [k] int64, ascending
    weights   per stage, the weight of each selected edge [k] float
    side      side of the stem's maps, in pixels
    status    of each node, see `dnw_graph.program.status.node_status`

    Nodes are numbered level by level. ndata, all int64: `level`; `channel` (number within the
    level); `stage` (in which the node receives, -1 for the stem's channels); `resolution` (side
    of its state, pixels); `stride` (of its own convolution); `status` (0 dead, 1 constant, 2
    live); `carry` (node whose state it starts from, -1: none). edata: `weight`, `id` (position in
    the stage's parameter; the stage is that of the target).
    """
    dgl = load_dgl()
    source, target = selected_ends(layout, selected)
    graph = dgl.graph((torch.from_numpy(source), torch.from_numpy(target)), num_nodes=layout.num_nodes)
    levels = layout.levels
    node_data = {
        "level": layout.per_node([level.index for level in levels]),
        "channel": np.concatenate([np.arange(level.size) for level in levels]),
        "stage": layout.per_node([level.stage for level in levels]),
        "resolution": layout.per_node(layout.resolutions(side)),
        "stride": layout.per_node([level.stride for level in levels]),
        "status": status,
        "carry": layout.carried_from(),
    }
    for name, values in node_data.items():
        graph.ndata[name] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))
    graph.edata["weight"] = torch.cat([weight.detach().cpu() for weight in weights])
    graph.edata["id"] = torch.cat([ids.detach().cpu() for ids in selected])
    return graph
