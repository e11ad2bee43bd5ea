"""The layers of a compiled network: live channels only, norms folded, every launch recorded.

Each layer records the multiply-accumulates of its launch from the operands that it is given.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.message_passing import EdgeIndex, choose_backend, message_passing
from dnw_graph.message_passing.executed import record
from dnw_graph.models.node_operation import InstanceNorm, NodeOperation
from dnw_graph.node_operation import NodeKernels, node_kernels
from dnw_graph.node_operation.plain import depthwise
from dnw_graph.triton import availability


def folded(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A batch norm in eval mode as (scale, shift), each [C]: norm(z) = z · scale + shift."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight.detach() * torch.rsqrt(norm.running_var + norm.eps)
    return scale, norm.bias.detach() - norm.running_mean * scale


class Affine(nn.Module):
    """z · scale + shift per channel, on [C, B, H, W]: what is left of a batch norm."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.reshape(-1, 1, 1, 1).clone())
        self.register_buffer("shift", shift.reshape(-1, 1, 1, 1).clone())

    def forward(self, z: Tensor) -> Tensor:
        return torch.addcmul(self.shift, z, self.scale)


class NodeStep(nn.Module):
    """norm → ReLU → 3×3 of some nodes of a level, as in `NodeOperation`; on a GPU in one pass."""

    kernel: Tensor
    zero: Tensor
    one: Tensor

    def __init__(self, operation: NodeOperation, nodes: Tensor) -> None:
        super().__init__()
        self.stride = operation.stride
        self.register_buffer("kernel", operation.kernel.detach()[nodes].clone())
        if isinstance(operation.norm, InstanceNorm):
            norm = InstanceNorm(nodes.numel(), operation.norm.eps)
            norm.weight.data = operation.norm.weight.detach()[nodes].clone()
            norm.bias.data = operation.norm.bias.detach()[nodes].clone()
            self.norm: nn.Module = norm.requires_grad_(False)
        else:
            scale, shift = folded(operation.norm)
            self.norm = Affine(scale[nodes], shift[nodes])
        for name, value in (("zero", 0.0), ("one", 1.0)):
            made = torch.full((nodes.numel(),), value, device=self.kernel.device)
            self.register_buffer(name, made, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """[C, B, H, W] → [C, B, ceil(H/stride), ceil(W/stride)]."""
        if not z.numel():
            height, width = (-(-side // self.stride) for side in z.shape[2:])
            return z.new_zeros(z.shape[0], z.shape[1], height, width)
        kernels = fused(z)
        if kernels is None:
            h = depthwise(F.relu(self.norm(z)), self.kernel, self.stride)
        else:
            h = self._by(kernels, z)
        record(h.numel() * self.kernel[0].numel())
        return h

    def _by(self, kernels: NodeKernels, z: Tensor) -> Tensor:
        z, norm, mean, rstd = z.contiguous(), self.norm, self.zero, self.one
        if isinstance(norm, Affine):
            return kernels.forward(
                z, mean, rstd, norm.scale.flatten(), norm.shift.flatten(), self.kernel, self.stride
            )
        assert isinstance(norm, InstanceNorm)
        mean, variance = kernels.statistics(z, z.shape[0] * z.shape[1])
        rstd = torch.rsqrt(variance + norm.eps)
        return kernels.forward(z, mean, rstd, norm.weight, norm.bias, self.kernel, self.stride)


def fused(z: Tensor) -> NodeKernels | None:
    """Kernels that do a node operation in one pass over maps of this kind; None where torch is to do it."""
    if z.device.type != "cuda" or availability.reason() or availability.refusal(z.device, z.dtype):
        return None
    return node_kernels(z.device, z.dtype, NodeSpec("affine"))


@dataclass(frozen=True)
class Choice:
    """Which backend passes the messages of a network with so many edges out of so many candidates."""

    asked: str
    num_edges: int = 0
    num_candidates: int = 0

    def resolved(self, device: torch.device, dtype: torch.dtype) -> str:
        """The backend that was asked for, or what `auto` means for features of this kind."""
        if self.asked != "auto":
            return self.asked
        return choose_backend(device, dtype, self.num_edges, self.num_candidates)


class Messages(nn.Module):
    """Message passing along given edges with fixed weights: z_v = base_v + Σ w_uv · h_u."""

    value: Tensor
    pointer: Tensor
    source: Tensor
    position: Tensor

    def __init__(self, index: EdgeIndex, value: Tensor, choice: Choice) -> None:
        super().__init__()
        self.choice = choice
        self.register_buffer("value", value.clone())
        self.register_buffer("pointer", index.pointer)
        self.register_buffer("source", index.source)
        self.register_buffer("position", torch.arange(value.numel()))

    def forward(self, h: Tensor, base: Tensor | None) -> Tensor:
        """h [S, B, H, W], base [T, B, H, W] or None → [T, B, H, W] in the dtype of h."""
        return message_passing(
            h,
            self.value.to(h.dtype),
            self.pointer,
            self.source,
            self.position,
            None if base is None else base.to(h.dtype),
            "selected",
            self.choice.resolved(h.device, h.dtype),
        )


class Convolution(nn.Module):
    """An ordinary convolution of the stem with some of its output channels, its norm folded in."""

    weight: Tensor
    bias: Tensor | None

    def __init__(
        self, conv: nn.Conv2d, norm: nn.BatchNorm2d | None = None, keep: Tensor | None = None
    ) -> None:
        super().__init__()
        weight = conv.weight.detach()
        bias = None if conv.bias is None else conv.bias.detach()
        if norm is not None:
            scale, shift = folded(norm)
            weight = weight * scale.reshape(-1, 1, 1, 1)
            bias = shift if bias is None else bias * scale + shift
        if keep is not None:
            weight, bias = weight[keep], None if bias is None else bias[keep]
        self.stride, self.padding = conv.stride, conv.padding
        self.groups = weight.shape[0] if conv.groups > 1 else 1
        self.register_buffer("weight", weight.clone())
        self.register_buffer("bias", None if bias is None else bias.clone())

    @property
    def image_channels(self) -> int:
        """Channels of what it reads."""
        return self.weight.shape[1] * self.groups

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of its maps, for images of that size."""
        return -(-height // self.stride[0]), -(-width // self.stride[1])

    def forward(self, x: Tensor) -> Tensor:
        if not self.weight.shape[0]:
            return x.new_zeros(x.shape[0], 0, *self.sides(*x.shape[2:]))
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        record(y.numel() * self.weight[0].numel())
        return y


class Linear(nn.Module):
    """Pooled live channels → logits."""

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight.clone())

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """[B, C] → [B, classes]."""
        if not x.shape[1]:
            return bias.expand(x.shape[0], -1).clone()
        record(x.shape[0] * self.weight.numel())
        return F.linear(x, self.weight, bias)
