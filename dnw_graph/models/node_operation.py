"""The node operation z → h: norm, ReLU, single-channel 3×3 convolution, on [C, B, H, W]."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.node_operation.plain import depthwise


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

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """As torch's, but refuses what `SyncBatchNorm.convert_sync_batchnorm` puts in the norm's place."""
        if isinstance(module, nn.SyncBatchNorm):
            raise InputError(
                "torch.nn.SyncBatchNorm reads [images, channels, …], and a wired body holds its maps as "
                "[channels, images, …]; call model.synchronise_norm() instead (in a run: "
                "training.sync_norm true)"
            )
        super().add_module(name, module)

    def forward(self, z: Tensor) -> Tensor:
        return depthwise(F.relu(self.norm(z)), self.kernel, self.stride)
