"""Exact parameters and MACs of a wired body, from the plain arrays of its graph.

Counted: 9 per output pixel of each convolving node, 1 per pixel of each live edge. Not counted: norms, ReLU,
biases, pooling, and the carry of a readout node (a sum). Products with the zeros of the padding count, since
every kernel does them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnw_graph.accounting.report import StageCount
from dnw_graph.graph.layout import Layout
from dnw_graph.graph.status import LIVE, edge_is_live

KERNEL = 9
"""Weights of a node's single-channel 3x3 convolution."""

Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class GraphArrays:
    """The numbers of one wiring; nodes [N], edges [E], all int64 but `has_operation` (bool).

    level, stage    where a node is evaluated, and where it receives (-1: stem channel)
    resolution      side of the node's state, in pixels
    stride          of its own convolution
    status          0 dead, 1 constant, 2 live
    has_operation   whether the node has norm, ReLU and convolution; false in the last level
    source, target  node numbers of each selected edge
    """

    level: Integers
    stage: Integers
    resolution: Integers
    stride: Integers
    status: Integers
    has_operation: Mask
    source: Integers
    target: Integers

    @property
    def live(self) -> Mask:
        """[N] whether a node is live."""
        return self.status == LIVE

    @property
    def live_edges(self) -> Mask:
        """[E] whether both ends of an edge are live."""
        return edge_is_live(self.status, self.source, self.target)


def graph_arrays(
    layout: Layout, source: Integers, target: Integers, status: Integers, side: int
) -> GraphArrays:
    """The numbers of a wiring source -> target in a body whose stem gives maps of `side` pixels a side."""
    levels = layout.levels
    return GraphArrays(
        level=layout.per_node([level.index for level in levels]),
        stage=layout.per_node([level.stage for level in levels]),
        resolution=layout.per_node(layout.resolutions(side)),
        stride=layout.per_node([level.stride for level in levels]),
        status=status,
        has_operation=layout.per_node([level.sends for level in levels]).astype(bool),
        source=source,
        target=target,
    )


def convolving_nodes(graph: GraphArrays) -> Mask:
    """[N] nodes whose convolution runs: live ones with an operation.

    A twin of the tiny network's readout may be live through its carry alone; its convolution counts, and
    the compiled network runs it.
    """
    return graph.live & graph.has_operation


def sending_stage(graph: GraphArrays) -> Integers:
    """[N] the stage in which a node's activation is used: that of its edges, or its own if it has none.

    A stem channel receives in no stage. Without edges it can only be live through a readout's carry, in
    stage 0.
    """
    stage = np.maximum(graph.stage, 0)
    stage[graph.source] = graph.stage[graph.target]
    return stage


def count_stages(graph: GraphArrays) -> tuple[StageCount, ...]:
    """Nodes, edges, parameters and MACs of every stage of the body."""
    live_edges, convolving, sends_in = graph.live_edges, convolving_nodes(graph), sending_stage(graph)
    output_side = -(-graph.resolution // graph.stride)
    edge_stage = graph.stage[graph.target]
    edge_pixels = graph.resolution[graph.target] ** 2
    stages = []
    for number in range(int(graph.stage.max(initial=-1)) + 1):
        edges = live_edges & (edge_stage == number)
        nodes = convolving & (sends_in == number)
        convolutions, edge_count = int(nodes.sum()), int(edges.sum())
        stages.append(
            StageCount(
                name=f"stage_{number}",
                nodes=int((graph.live & (graph.stage == number)).sum()),
                edges=edge_count,
                convolutions=convolutions,
                params=KERNEL * convolutions + edge_count,
                macs=KERNEL * int((output_side[nodes] ** 2).sum()) + int(edge_pixels[edges].sum()),
            )
        )
    return tuple(stages)


def bound_stages(layout: Layout, budgets: Sequence[int], side: int) -> tuple[StageCount, ...]:
    """What `count_stages` would say of a wiring that spends its budgets and leaves no node out.

    budgets  edges of each stage
    """
    sides = layout.resolutions(side)
    stages = []
    for stage, edges in zip(layout.stages, budgets, strict=True):
        senders = stage.levels[:-1]
        convolutions = sum(level.size for level in senders)
        pixels = sum(level.size * (-(-sides[level.index] // level.stride)) ** 2 for level in senders)
        stages.append(
            StageCount(
                name=f"stage_{stage.index}",
                nodes=sum(level.size for level in stage.levels if level.stage == stage.index),
                edges=edges,
                convolutions=convolutions,
                params=KERNEL * convolutions + edges,
                macs=KERNEL * pixels + edges * sides[stage.levels[-1].index] ** 2,
            )
        )
    return tuple(stages)
