"""A wired network by the definition: node after node, edge after edge, in NumPy.

Reads nothing but an exported graph (`dnw_graph.interchange.Graph`), besides `model.stem` and `model.head`.
Slow, and plain enough to be checked by eye.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dnw_graph.interchange import Graph


@torch.no_grad()
def logits(model: nn.Module, graph: Graph, images: Tensor) -> np.ndarray:
    """Logits [B, classes] of the network `model` with the body that `graph` describes."""
    outputs = body(graph, model.stem(images).numpy())
    return model.head(torch.from_numpy(outputs).to(images.dtype)).numpy()


def body(graph: Graph, stem: np.ndarray) -> np.ndarray:
    """Stem maps [B, C0, h, w] → states of the last level [B, C, h', w']."""
    node, edge = graph.nodes, graph.edges
    sizes = map_sizes(graph, stem.shape[2:])
    state: list[np.ndarray] = []
    sent: list[np.ndarray | None] = []
    # A node's number is larger than those of all nodes that it hears.
    for v in range(graph.num_nodes):
        if node["level"][v] == 0:
            z = stem[:, node["channel"][v]].astype(np.float64)
        else:
            z = np.zeros((len(stem), *sizes[node["stage"][v]]))
        if node["carry"][v] != -1:
            z = z + state[node["carry"][v]]
        for e in np.flatnonzero(edge["target"] == v):
            z = z + edge["weight"][e] * sent[edge["source"][e]]
        state.append(z)
        sent.append(None if node["norm"][v] == "none" else operate(node, v, z))
    outputs = np.flatnonzero(node["level"] == node["level"].max())
    return np.stack([state[v] for v in outputs], axis=1)


def map_sizes(graph: Graph, stem: tuple[int, ...]) -> dict[int, tuple[int, ...]]:
    """Stage → (height, width) of the states of the nodes that receive in it; -1: the stem's maps."""
    level, stage, stride = (graph.nodes[name] for name in ("level", "stage", "stride"))
    sizes = {-1: tuple(stem)}
    for number in range(stage.max() + 1):
        # The nodes that enter a stage are the last ones that received in the stage before.
        entering = level == level[stage == number - 1].max()
        step = stride[entering][0]
        sizes[number] = tuple(-(-side // step) for side in sizes[number - 1])
    return sizes


def operate(node: dict[str, np.ndarray], v: int, z: np.ndarray) -> np.ndarray:
    """norm → ReLU → 3×3 convolution of node v, z [B, h, w]."""
    if node["norm"][v] == "instance":
        mean = z.mean(axis=(1, 2), keepdims=True)
        variance = ((z - mean) ** 2).mean(axis=(1, 2), keepdims=True)
        z = (z - mean) / np.sqrt(variance + node["eps"][v])
    active = np.maximum(z * node["scale"][v] + node["shift"][v], 0)
    padded = np.pad(active, ((0, 0), (1, 1), (1, 1)))
    height, width = z.shape[1:]
    h = np.zeros_like(z)
    for y in range(3):
        for x in range(3):
            h += node["kernel"][v][y, x] * padded[:, y : y + height, x : x + width]
    return h[:, :: node["stride"][v], :: node["stride"][v]]
