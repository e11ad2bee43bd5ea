"""Batch norm with statistics over all processes, on any device that torch.distributed serves."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dnw_graph.models.node_operation import BatchNorm


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """As `nn.BatchNorm2d`, but in training mean and variance are those of all ranks' images.

    torch's own SyncBatchNorm needs CUDA. Two small reductions forward, two backward.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        dims, shape, dtype = (0, 2, 3), (1, -1, 1, 1), x.dtype
        # Sums over a batch leave the range and precision of half floats.
        x = x.to(torch.promote_types(dtype, torch.float32))
        count = _total(x.new_tensor([x.numel() / x.shape[1]]))
        mean = _total(x.sum(dims)) / count
        centred = x - mean.view(shape)
        variance = _total(centred.square().sum(dims)) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.momentum is not None
        for running, new in ((self.running_mean, mean), (self.running_var, unbiased_variance)):
            assert running is not None
            running.lerp_(new.to(running.dtype), self.momentum)
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1


class SynchronisedNodeNorm(SynchronisedBatchNorm):
    """The same on node-major features [C, B, H, W]."""

    def forward(self, z: Tensor) -> Tensor:
        channels, images, height, width = z.shape
        return super().forward(z.reshape(1, channels, images * height, width)).reshape(z.shape)


def synchronise(module: nn.Module) -> None:
    """Replace every batch norm inside `module` by one over all ranks; parameters stay the same."""
    for name, child in list(module.named_children()):
        if isinstance(child, (nn.BatchNorm2d, nn.SyncBatchNorm)):
            kind = SynchronisedNodeNorm if isinstance(child, BatchNorm) else SynchronisedBatchNorm
            twin = kind(child.num_features, eps=child.eps, momentum=child.momentum)
            twin.__dict__["_parameters"] = child._parameters
            twin.__dict__["_buffers"] = child._buffers
            setattr(module, name, twin.train(child.training))
        else:
            synchronise(child)


class _Total(torch.autograd.Function):
    """Sum over ranks; its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _total(value: Tensor) -> Tensor:
    return _Total.apply(value)
