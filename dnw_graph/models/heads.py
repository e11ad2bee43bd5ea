"""Heads: from the states of the last level to logits."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.graph.channel_graph import channel_graph, wiring_data
from dnw_graph.graph.layout import Layout
from dnw_graph.graph.status import Flags
from dnw_graph.models.stage import WiredStage


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

    def reads(self) -> Flags:
        """Which channels have an edge to a class, [C] bool."""
        source, _ = self.wiring.stage.ends(self.wiring.selected.cpu().numpy())
        flags = np.zeros(self.layout.levels[0].size, dtype=bool)
        flags[source] = True
        return flags

    def graph(self):  # type: ignore[no-untyped-def]
        """The wiring from pooled channels to classes as a DGL graph (see `channel_graph`)."""
        weight = self.wiring.effective().detach()[self.wiring.selected]
        return channel_graph(wiring_data(self.layout, [self.wiring.selected], [weight], 1))


class TinyHead(nn.Module):
    """Mean over rows and columns 2 and 3 of the 8×8 readout maps, then linear.

    The published head pools a 3×3 window at 2..4 by 2×2, which drops its last row and column.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(readout_window(z).mean(dim=(2, 3)))


def readout_window(maps: Tensor) -> Tensor:
    """Rows and columns 2 and 3, [..., 8, 8] → [..., 2, 2]; ValueError for maps of another size."""
    height, width = maps.shape[-2:]
    if (height, width) != (8, 8):
        raise ValueError(f"the readout maps are {height}×{width}, not 8×8; give 32×32 images")
    return maps[..., 2:4, 2:4]
