"""What a way to compute the node operation offers."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from torch import Tensor


class NodeGradients(NamedTuple):
    """∂L/∂z [C, B, H, W], ∂L/∂scale [C], ∂L/∂shift [C], ∂L/∂kernel [C, 1, k, k]."""

    z: Tensor
    scale: Tensor
    shift: Tensor
    kernel: Tensor


class NodeKernels(Protocol):
    """h = kernel ∗ activation(scale · (z − mean) · rstd + shift), each node by itself; no bias.

    z [C, B, H, W] contiguous; mean, rstd [G] with G = C (batch norm: one per node) or C·B (instance norm: one
    per map); scale, shift [C]; kernel [C, 1, k, k], k odd, padding k // 2. All of one floating dtype, none
    empty; where z is of half floats, the others may be float32, and statistics are. For norm "affine" give
    mean 0 and rstd 1; for "none" scale 1 and shift 0, too.
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
