"""Exact parameters and MACs of a wired body, from the plain arrays of its graph.

Counted: 9 per output pixel of each convolving node, 1 per pixel of each live edge. Not counted: norms, ReLU,
biases, pooling, and the carry of a readout node (a sum). Products with the zeros of the padding count, since
every kernel does them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnw_graph.accounting.report import StageCount

LIVE = 2
"""Code of a live node in `status`."""
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
        return self.live[self.source] & self.live[self.target]


def convolving_nodes(graph: GraphArrays) -> Mask:
    """[N] nodes whose convolution has to run: live, with an operation, and a live edge that takes its result.

    Only a node that lives through its carry alone (tiny network) is live without such an edge: the readout
    takes its state, so nobody reads its activation.
    """
    sends = np.zeros(len(graph.level), dtype=bool)
    sends[graph.source[graph.live_edges]] = True
    return graph.live & graph.has_operation & sends


def sending_stage(graph: GraphArrays) -> Integers:
    """[N] the stage in which a node's activation is used: that of its edges, or its own if it has none."""
    stage = graph.stage.copy()
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
