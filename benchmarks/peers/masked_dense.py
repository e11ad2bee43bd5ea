"""A wired network as the 2019 program ran it: 1×1 convolutions with all candidate weights, masked.

That program selected and masked anew in every forward pass; here the masked weights are made once.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.models.heads import LinearHead
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.stage import WiredStage


@torch.no_grad()
def masked_blocks(wired: WiredStage) -> list[Tensor]:
    """Per block of a stage, [targets, sources]: the weights of selected edges, 0 elsewhere."""
    weight = torch.zeros_like(wired.weight)
    weight[wired.selected] = wired.effective()[wired.selected]
    blocks = wired.stage.blocks
    parts = weight.split([block.size for block in blocks])
    return [part.reshape(block.num_targets, -1) for part, block in zip(parts, blocks, strict=True)]


class MaskedDense(nn.Module):
    """Images [B, 3, S, S] → logits; torch's convolutions and batch norms only."""

    def __init__(self, model: WiredNetwork) -> None:
        super().__init__()
        assert isinstance(model.head, LinearHead)
        self.stem, self.head = model.stem, model.head
        self.norms, self.kernels, self.weights = nn.ModuleList(), nn.ParameterList(), nn.ParameterList()
        self.stages: list[list[tuple[int, int]]] = []
        for wired in model.body_stages():
            levels = wired.stage.levels[:-1]
            self.stages.append([(level.size, level.stride) for level in levels])
            for level, weight in zip(levels, masked_blocks(wired), strict=True):
                operation = model.body.node_operation(level.index)
                norm = nn.BatchNorm2d(level.size, eps=operation.norm.eps)
                norm.load_state_dict(operation.norm.state_dict())
                self.norms.append(norm)
                self.kernels.append(operation.kernel.detach())
                self.weights.append(weight[:, :, None, None].contiguous())
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        z, place = self.stem(images), 0
        for levels in self.stages:
            later: Tensor | None = None
            for size, stride in levels:
                if later is not None:
                    z, later = later.split([size, later.shape[1] - size], dim=1)
                x = F.relu(self.norms[place](z))
                h = F.conv2d(x, self.kernels[place], stride=stride, padding=1, groups=size)
                sent = F.conv2d(h, self.weights[place])
                later = sent if later is None else later + sent
                place += 1
            assert later is not None
            z = later
        return self.head(z)
