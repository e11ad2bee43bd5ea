"""The node operation z → h: norm, ReLU, single-channel 3×3 convolution, on [C, B, H, W]."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InstanceNorm(nn.Module):
    """Every map of every image to mean 0 and variance 1, then scale and shift per channel.

    Biased variance, no running statistics.
    """

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, z: Tensor) -> Tensor:
        channels, images, height, width = z.shape
        if not z.numel():
            # torch's batch norm takes no empty maps.
            return z * self.weight.reshape(-1, 1, 1, 1) + self.bias.reshape(-1, 1, 1, 1)
        # One "channel" of a batch norm is one map; torch's own instance norm wants the batch first.
        maps = z.reshape(1, channels * images, height, width)
        normed = F.batch_norm(
            maps,
            None,
            None,
            self.weight.repeat_interleave(images),
            self.bias.repeat_interleave(images),
            training=True,
            eps=self.eps,
        )
        return normed.reshape(z.shape)


class BatchNorm(nn.BatchNorm2d):
    """torch's batch norm, on node-major features [C, B, H, W]."""

    def forward(self, z: Tensor) -> Tensor:
        channels, images, height, width = z.shape
        return super().forward(z.reshape(1, channels, images * height, width)).reshape(z.shape)


class NodeOperation(nn.Module):
    """h = conv3×3(ReLU(norm(z))), each node by itself; padding 1, no bias.

    [C, B, H, W] → [C, B, ceil(H/stride), ceil(W/stride)], contiguous.
    """

    def __init__(self, nodes: int, stride: int, norm: Literal["batch", "instance"]) -> None:
        super().__init__()
        self.stride = stride
        self.norm = BatchNorm(nodes) if norm == "batch" else InstanceNorm(nodes)
        self.kernel = nn.Parameter(torch.empty(nodes, 1, 3, 3))
        nn.init.kaiming_normal_(self.kernel, mode="fan_out", nonlinearity="relu")

    def forward(self, z: Tensor) -> Tensor:
        return depthwise(F.relu(self.norm(z)), self.kernel, self.stride)


def depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """3×3 convolution of each channel with its own kernel, padding 1.

    x [C, B, H, W], kernel [C, 1, 3, 3] → [C, B, ceil(H/stride), ceil(W/stride)]
    """
    channels, images, height, width = x.shape
    if not x.numel():
        return x.new_zeros(channels, images, -(-height // stride), -(-width // stride)) + 0 * kernel.sum()
    # Each map is a group of one large "image", so that no layout is converted.
    maps = x.reshape(1, channels * images, height, width)
    kernels = kernel.repeat_interleave(images, dim=0).to(x.dtype)
    out = F.conv2d(maps, kernels, stride=stride, padding=1, groups=channels * images)
    return out.reshape(channels, images, *out.shape[2:])
