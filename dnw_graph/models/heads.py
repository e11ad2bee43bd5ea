"""Heads: from the states of the last level to logits."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.graph.channel_graph import channel_graph, selected_ends, wiring_data
from dnw_graph.graph.layout import Layout
from dnw_graph.graph.status import Flags
from dnw_graph.models.arrays import array, layer_arrays, norm_arrays
from dnw_graph.models.stage import WiredStage
from dnw_graph.program.layers import pooled
from dnw_graph.program.part import Part
from dnw_graph.program.program import Array
from dnw_graph.program.status import node_status
from dnw_graph.program.steps import Linear, Messages, Norm, Pool, Step


class LinearHead(nn.Module):
    """Batch norm, ReLU, global average pool, linear: [B, C, h, w] → [B, classes]."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.norm = nn.BatchNorm2d(channels)
        self.linear = nn.Linear(channels, num_classes)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(F.relu(self.norm(z)).mean(dim=(2, 3)))

    def lowered(self, source: str, logits: str) -> Part:
        """Its part of a program."""
        linear = Linear("head.linear", "head", "pooled", logits)
        return _pooled(self.norm, source, linear, {**layer_arrays(linear.name, self.linear)})


class WiredClassifier(nn.Module):
    """As `LinearHead`, but pooled channels → classes is one more wiring, without bias ("Small")."""

    def __init__(self, layout: Layout, wiring: WiredStage) -> None:
        super().__init__()
        self.layout = layout
        self.num_classes = layout.levels[-1].size
        self.norm = nn.BatchNorm2d(layout.levels[0].size)
        self.wiring = wiring

    def forward(self, z: Tensor) -> Tensor:
        pooled = F.relu(self.norm(z)).mean(dim=(2, 3), keepdim=True)
        (index,), (weight,) = self.wiring.indices(), self.wiring.block_weights()
        logits = self.wiring.send(index, weight, pooled.transpose(0, 1).contiguous(), None)
        return logits.flatten(1).t()

    def lowered(self, source: str, logits: str) -> Part:
        """Its part of a program."""
        messages = Messages("head.wiring", "head", "pooled", (logits,), (self.num_classes,))
        ids = array(self.wiring.ids)
        row, column = np.divmod(ids, self.layout.levels[0].size)
        weight = array(self.wiring.effective()[self.wiring.ids])
        values = {"row": row, "column": column, "weight": weight, "id": ids}
        tensors = {f"{messages.name}.{leaf}": value for leaf, value in values.items()}
        return _pooled(self.norm, source, messages, tensors)

    def reads(self) -> Flags:
        """Which channels have an edge to a class, [C] bool."""
        source, _ = self.wiring.stage.ends(self.wiring.ids.cpu().numpy())
        flags = np.zeros(self.layout.levels[0].size, dtype=bool)
        flags[source] = True
        return flags

    def graph(self):  # type: ignore[no-untyped-def]
        """The wiring from pooled channels to classes as a DGL graph (see `channel_graph`)."""
        weight = self.wiring.effective().detach()[self.wiring.ids]
        selected = [self.wiring.ids]
        status = node_status(self.layout, *selected_ends(self.layout, selected))
        return channel_graph(wiring_data(self.layout, selected, [weight], 1, status))


class TinyHead(nn.Module):
    """Mean over rows and columns 2 and 3 of the 8×8 readout maps, then linear.

    The published head pools a 3×3 window at 2..4 by 2×2, which drops its last row and column.
    """

    WINDOW = (2, 4, 8)

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(pooled(z, self.WINDOW).flatten(1))

    def lowered(self, source: str, logits: str) -> Part:
        """Its part of a program."""
        pool = Pool("head.pool", "head", source, "pooled", self.WINDOW)
        linear = Linear("head.linear", "head", "pooled", logits)
        channels = {"pooled": self.linear.in_features, logits: self.num_classes}
        return Part((pool, linear), channels, {**layer_arrays(linear.name, self.linear)})


def _pooled(norm: nn.BatchNorm2d, source: str, classifier: Step, tensors: dict[str, Array]) -> Part:
    """Norm, ReLU and mean over all pixels, then a classifier from `pooled` to logits."""
    step = Norm("head.norm", "head", source, "active", "batch", norm.eps, "relu")
    pool = Pool("head.pool", "head", step.target, "pooled")
    channels = dict.fromkeys((step.target, pool.target), norm.num_features)
    return Part((step, pool, classifier), channels, {**norm_arrays(step.name, norm), **tensors})
