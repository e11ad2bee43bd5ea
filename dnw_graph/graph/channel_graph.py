"""The wiring as one acyclic graph of channel nodes: plain arrays, and DGL's graph of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class WiringData:
    """The wiring of a whole body as plain arrays: what is on the DGL graph.

    nodes  by name, [N] int64: `level`; `channel` (number within the level); `stage` (in which the node
           receives, -1 for the stem's channels); `resolution` (side of its state, pixels); `stride` (of its
           own convolution); `status` (0 dead, 1 constant, 2 live); `carry` (node whose state it starts from,
           -1: none). Nodes are numbered level by level.
    edges  by name, [E], on the CPU: `source` and `target` (node numbers); `weight` (float); `id` (position in
           the stage's parameter; the stage is that of the target)
    """

    nodes: dict[str, Ints]
    edges: dict[str, Tensor]


def wiring_data(
    layout: Layout,
    selected: Sequence[Tensor],
    weights: Sequence[Tensor],
    side: int,
    status: Ints,
) -> WiringData:
    """The wiring that selected candidate edges make.

    selected  per stage, candidate ids [k] int64, ascending
    weights   per stage, the weight of each selected edge [k] float
    side      side of the stem's maps, in pixels
    status    of each node, see `dnw_graph.program.status.node_status`
    """
    source, target = selected_ends(layout, selected)
    levels = layout.levels
    nodes = {
        "level": layout.per_node([level.index for level in levels]),
        "channel": np.concatenate([np.arange(level.size) for level in levels]),
        "stage": layout.per_node([level.stage for level in levels]),
        "resolution": layout.per_node(layout.resolutions(side)),
        "stride": layout.per_node([level.stride for level in levels]),
        "status": status,
        "carry": layout.carried_from(),
    }
    edges = {
        "source": torch.from_numpy(source),
        "target": torch.from_numpy(target),
        "weight": torch.cat([weight.detach().cpu() for weight in weights]),
        "id": torch.cat([ids.detach().cpu() for ids in selected]),
    }
    return WiringData(
        {name: np.ascontiguousarray(values, dtype=np.int64) for name, values in nodes.items()}, edges
    )


def channel_graph(wiring: WiringData) -> dgl.DGLGraph:
    """The wiring as a `dgl.DGLGraph`, on the CPU: ndata are its nodes' data, edata `weight` and `id`.

    Raises InputError where DGL is not installed.
    """
    graph = load_dgl().graph(
        (wiring.edges["source"], wiring.edges["target"]), num_nodes=len(wiring.nodes["level"])
    )
    for name, values in wiring.nodes.items():
        graph.ndata[name] = torch.from_numpy(values)
    for name in ("weight", "id"):
        graph.edata[name] = wiring.edges[name]
    return graph
