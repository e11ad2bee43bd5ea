"""Stems: ordinary torch layers that give the wired body its first channels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.models.arrays import layer_arrays, norm_arrays
from dnw_graph.program.part import Part
from dnw_graph.program.steps import Convolution, Norm


class ConvStem(nn.Module):
    """One 3×3 convolution without bias; no norm follows, the first node operation has one.

    [B, 3, S, S] → [B, channels, ceil(S/stride), ceil(S/stride)]
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.conv = nn.Conv2d(3, channels, 3, stride=stride, padding=1, bias=False)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images)

    def side(self, image_size: int) -> int:
        """Side of the maps it gives, in pixels."""
        return -(-image_size // self.stride)

    def lowered(self, images: str, target: str) -> Part:
        """Its part of a program."""
        step = Convolution("stem.conv", "stem", images, target, self.stride, padding=1)
        return Part((step,), {target: self.conv.out_channels}, {**layer_arrays(step.name, self.conv)})


class TinyStem(nn.Module):
    """Two strided convolutions and a 1×1, with norms: [B, 3, S, S] → [B, channels, S/4, S/4]."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, hidden, 3, stride=2, padding=1)
        self.conv_norm = nn.BatchNorm2d(hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride=2, padding=1, groups=hidden)
        self.pointwise = nn.Conv2d(hidden, channels, 1)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.conv_norm(self.conv(images)))
        return self.norm(self.pointwise(self.depthwise(x)))

    @staticmethod
    def side(image_size: int) -> int:
        """Side of the maps it gives, in pixels."""
        half = -(-image_size // 2)
        return -(-half // 2)

    def lowered(self, images: str, target: str) -> Part:
        """Its part of a program."""
        hidden, channels = self.conv.out_channels, self.pointwise.out_channels
        conv = Convolution("stem.conv", "stem", images, "stem.hidden", 2, padding=1)
        conv_norm = Norm(
            "stem.conv_norm", "stem", conv.target, "stem.active", "batch", self.conv_norm.eps, "relu"
        )
        depthwise = Convolution(
            "stem.depthwise", "stem", conv_norm.target, "stem.narrow", 2, 1, depthwise=True
        )
        pointwise = Convolution("stem.pointwise", "stem", depthwise.target, "stem.wide")
        norm = Norm("stem.norm", "stem", pointwise.target, target, "batch", self.norm.eps)
        return Part(
            (conv, conv_norm, depthwise, pointwise, norm),
            dict.fromkeys((conv.target, conv_norm.target, depthwise.target), hidden)
            | dict.fromkeys((pointwise.target, target), channels),
            {
                **layer_arrays(conv.name, self.conv),
                **norm_arrays(conv_norm.name, self.conv_norm),
                **layer_arrays(depthwise.name, self.depthwise),
                **layer_arrays(pointwise.name, self.pointwise),
                **norm_arrays(norm.name, self.norm),
            },
        )
