"""What a way to compute the node operation offers, and which one is used."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from dnw_graph.native import library
from dnw_graph.triton import availability


class NodeGradients(NamedTuple):
    """∂L/∂z [C, B, H, W], ∂L/∂scale [C], ∂L/∂shift [C], ∂L/∂kernel [C, 1, 3, 3]."""

    z: Tensor
    scale: Tensor
    shift: Tensor
    kernel: Tensor


class NodeKernels(Protocol):
    """h = conv3×3(ReLU(scale · (z − mean) · rstd + shift)), each node by itself; padding 1, no bias.

    z [C, B, H, W] contiguous; mean, rstd [G] with G = C (batch norm: one per node) or C·B (instance norm: one
    per map); scale, shift [C]; kernel [C, 1, 3, 3]; stride 1 or 2. All of one floating dtype, none empty;
    where z is of half floats, the others may be float32, and statistics are.
    """

    def statistics(self, z: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Mean and biased variance, each [groups], of z seen as [groups, -1]."""
        ...

    def forward(
        self, z: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, stride: int
    ) -> Tensor:
        """→ h [C, B, ceil(H/stride), ceil(W/stride)]."""
        ...

    def backward(
        self,
        g: Tensor,
        z: Tensor,
        mean: Tensor,
        rstd: Tensor,
        scale: Tensor,
        shift: Tensor,
        kernel: Tensor,
        stride: int,
        through_statistics: bool,
        grad_z: Tensor | None = None,
    ) -> NodeGradients:
        """Gradients for g = ∂L/∂h; activations are computed anew.

        through_statistics  mean and rstd are those of z, so that gradient flows through them; else constants
        grad_z              [C, B, H, W] contiguous: where ∂L/∂z is written, if given
        """
        ...


def node_kernels(device: torch.device, dtype: torch.dtype) -> NodeKernels:
    """The fastest way for tensors of this kind."""
    if device.type == "cpu" and dtype == torch.float32 and library.reason() is None:
        from dnw_graph.node_operation.native import NativeNodeKernels

        return NativeNodeKernels()
    if device.type == "cuda" and availability.reason() is None and not availability.refusal(device, dtype):
        from dnw_graph.triton.node_operation import TritonNodeKernels

        return TritonNodeKernels()
    from dnw_graph.node_operation.plain import PlainNodeKernels

    return PlainNodeKernels()
