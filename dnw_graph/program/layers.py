"""A program's steps as torch modules: what `by_torch.run` needs, made of a program's tensors.

Each records the multiply-accumulates of its launch from the operands that it is given. Features are
node-major, [channels, B, H, W].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.message_passing import choose_backend, message_passing
from dnw_graph.message_passing.executed import record
from dnw_graph.node_operation import NodeKernels, node_kernels
from dnw_graph.node_operation.activations import ACTIVATIONS
from dnw_graph.node_operation.choice import reasons
from dnw_graph.node_operation.plain import depthwise
from dnw_graph.program import steps as kinds
from dnw_graph.program.program import Array, Program, norm_of
from dnw_graph.program.steps import Step


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


class Layers(nn.Module):
    """The layers of a program by step name, as a module that moves and converts their tensors."""

    def __init__(self, program: Program, choice: Choice) -> None:
        super().__init__()
        steps = [step for step in program.flat() if type(step) in _MAKERS]
        made = {step.name: _MAKERS[type(step)](step, program, choice) for step in steps}
        self.modules_in_order = nn.ModuleList(made.values())
        self._names = tuple(made)

    def by_name(self) -> Mapping[str, nn.Module]:
        return dict(zip(self._names, self.modules_in_order, strict=True))


def _tensor(values: Array) -> Tensor:
    return torch.from_numpy(np.array(values))


class Convolution(nn.Module):
    """Images and maps come as views [C, B, H, W] of tensors that lie batch by batch, as torch wants them."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, step: kinds.Convolution, program: Program, choice: Choice) -> None:
        super().__init__()
        self.stride, self.padding, self.activation = (
            step.stride,
            step.padding,
            ACTIVATIONS[step.activation].forward,
        )
        self.register_buffer("weight", _tensor(program.tensor(step, "weight")))
        bias = program.optional(step, "bias")
        self.register_buffer("bias", None if bias is None else _tensor(bias))
        self.groups = max(1, self.weight.shape[0]) if step.depthwise else 1

    def forward(self, x: Tensor) -> Tensor:
        if not self.weight.numel():
            side = self.weight.shape[2]
            height, width = ((n + 2 * self.padding - side) // self.stride + 1 for n in x.shape[2:])
            y = x.new_zeros(x.shape[1], self.weight.shape[0], height, width)
            y = y if self.bias is None else y + self.bias.reshape(-1, 1, 1)
        else:
            y = F.conv2d(
                x.transpose(0, 1), self.weight, self.bias, self.stride, self.padding, groups=self.groups
            )
            record(y.numel() * self.weight[0].numel())
        return self.activation(y).transpose(0, 1)


class Norm(nn.Module):
    """A norm of `NORMS`, then an activation."""

    scale: Tensor
    shift: Tensor

    def __init__(self, step: kinds.Norm | kinds.NodeOperation, program: Program, choice: Choice) -> None:
        super().__init__()
        kind, self.eps = norm_of(step)
        # Running statistics are folded into scale and shift.
        self.kind = "affine" if kind == "batch" else kind
        self.activation = ACTIVATIONS[step.activation if isinstance(step, kinds.Norm) else "identity"].forward
        for name, values in zip(("scale", "shift"), program.scale_shift(step), strict=True):
            self.register_buffer(name, _tensor(values).reshape(-1, 1, 1, 1))

    def forward(self, z: Tensor) -> Tensor:
        return self.activation(self.normed(z))

    def normed(self, z: Tensor) -> Tensor:
        return NORMS[self.kind](z, self.scale, self.shift, self.eps)


def normed_by_map(z: Tensor, scale: Tensor, shift: Tensor, eps: float) -> Tensor:
    """Instance norm of [C, B, H, W], biased variance."""
    channels, images, height, width = z.shape
    if not z.numel():
        # torch's batch norm takes no empty maps.
        return torch.addcmul(shift, z, scale)
    # One "channel" of a batch norm is one map; torch's own instance norm wants the batch first.
    maps = z.reshape(1, channels * images, height, width)
    scale, shift = (values.flatten().repeat_interleave(images) for values in (scale, shift))
    normed = F.batch_norm(maps, None, None, scale, shift, training=True, eps=eps)
    return normed.reshape(z.shape)


# (z [C, B, H, W], scale and shift [C, 1, 1, 1], eps) → z normed; all norms without running statistics.
NORMS: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "none": lambda z, scale, shift, eps: z,
    "affine": lambda z, scale, shift, eps: torch.addcmul(shift, z, scale),
    "instance": normed_by_map,
}


class NodeOperation(nn.Module):
    """Norm, activation, convolution of every channel by itself; on a GPU in one pass where kernels can."""

    kernel: Tensor
    zero: Tensor
    one: Tensor

    def __init__(self, step: kinds.NodeOperation, program: Program, choice: Choice) -> None:
        super().__init__()
        self.spec: NodeSpec = step.spec
        self.norm = Norm(step, program, choice)
        self.register_buffer("kernel", _tensor(program.tensor(step, "kernel")).unsqueeze(1))
        for name, value in (("zero", 0.0), ("one", 1.0)):
            made = self.kernel.new_full((self.kernel.shape[0],), value)
            self.register_buffer(name, made, persistent=False)

    def forward(self, z: Tensor) -> Tensor:
        """[C, B, H, W] → [C, B, ceil(H/stride), ceil(W/stride)]."""
        if not z.numel():
            height, width = (-(-side // self.spec.stride) for side in z.shape[2:])
            return z.new_zeros(z.shape[0], z.shape[1], height, width)
        kernels = fused(self.spec, z)
        if kernels is None:
            active = ACTIVATIONS[self.spec.activation].forward(self.norm(z))
            h = depthwise(active, self.kernel, self.spec.stride)
        else:
            h = self._by(kernels, z.contiguous())
        record(h.numel() * self.kernel[0].numel())
        return h

    def _by(self, kernels: NodeKernels, z: Tensor) -> Tensor:
        mean, rstd = self.zero, self.one
        if self.spec.norm == "instance":
            mean, variance = kernels.statistics(z, z.shape[0] * z.shape[1])
            rstd = torch.rsqrt(variance + self.spec.eps)
        scale, shift = self.norm.scale.flatten(), self.norm.shift.flatten()
        return kernels.forward(z, mean, rstd, scale, shift, self.kernel, self.spec.stride)


def fused(spec: NodeSpec, z: Tensor) -> NodeKernels | None:
    """Kernels that do a node operation in one pass over maps of this kind; None where torch is to do it."""
    if z.device.type != "cuda" or reasons(z.device, z.dtype, spec)["triton"] is not None:
        return None
    return node_kernels(z.device, z.dtype, spec)


class Messages(nn.Module):
    """Message passing along given edges with fixed weights: z_v = base_v + Σ w_uv · h_u."""

    value: Tensor
    pointer: Tensor
    source: Tensor
    position: Tensor

    def __init__(self, step: kinds.Messages, program: Program, choice: Choice) -> None:
        super().__init__()
        self.choice = choice
        row, column, weight = (program.tensor(step, name) for name in ("row", "column", "weight"))
        bounds = np.searchsorted(row, np.arange(sum(step.sizes) + 1))
        self.register_buffer("value", _tensor(weight))
        self.register_buffer("pointer", _tensor(bounds))
        self.register_buffer("source", _tensor(column))
        self.register_buffer("position", torch.arange(weight.size))

    def forward(self, h: Tensor, base: Tensor | None) -> Tensor:
        """h [S, B, H, W], base [T, B, H, W] or None → [T, B, H, W] in the dtype of h."""
        return message_passing(
            h.contiguous(),
            self.value.to(h.dtype),
            self.pointer,
            self.source,
            self.position,
            None if base is None else base.to(h.dtype),
            "selected",
            self.choice.resolved(h.device, h.dtype),
        )


class Sum(nn.Module):
    """Some channels of the source, added to channels of the target: (x, target so far or None) → target."""

    source: Tensor
    target: Tensor

    def __init__(self, step: kinds.Sum, program: Program, choice: Choice) -> None:
        super().__init__()
        (self.size,) = step.sizes
        self.register_buffer("source", _tensor(program.tensor(step, "column")))
        self.register_buffer("target", _tensor(program.tensor(step, "row")))

    def forward(self, x: Tensor, so_far: Tensor | None) -> Tensor:
        z = x.new_zeros(self.size, *x.shape[1:]) if so_far is None else so_far
        return z.index_add(0, self.target, x[self.source])


class Pool(nn.Module):
    """Mean over all pixels or a window of them: → [C, B, 1, 1]."""

    def __init__(self, step: kinds.Pool, program: Program, choice: Choice) -> None:
        super().__init__()
        self.window = step.window

    def forward(self, maps: Tensor) -> Tensor:
        return pooled(maps, self.window)


def pooled(maps: Tensor, window: tuple[int, int, int] | None) -> Tensor:
    """Mean of maps [..., H, W] over all pixels or a window (see `steps.Pool`): → [..., 1, 1].

    Raises ValueError for maps of another size than the window's.
    """
    if window is not None:
        kinds.Pool.check(window, *maps.shape[-2:])
        first, end, _ = window
        maps = maps[..., first:end, first:end]
    return maps.mean(dim=(-2, -1), keepdim=True)


class Linear(nn.Module):
    """Pooled channels [C, B, 1, 1] → [C', B, 1, 1]."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, step: kinds.Linear, program: Program, choice: Choice) -> None:
        super().__init__()
        self.register_buffer("weight", _tensor(program.tensor(step, "weight")))
        bias = program.optional(step, "bias")
        self.register_buffer("bias", None if bias is None else _tensor(bias))

    def forward(self, x: Tensor, so_far: Tensor | None) -> Tensor:
        flat = x.flatten(1).t()
        if not flat.shape[1]:
            y = flat.new_zeros(flat.shape[0], self.weight.shape[0])
            y = y if self.bias is None else y + self.bias
        else:
            record(flat.shape[0] * self.weight.numel())
            y = F.linear(flat, self.weight, self.bias)
        y = y.t()[:, :, None, None]
        return y if so_far is None else y + so_far


_MAKERS: dict[type[Step], Callable[..., nn.Module]] = {
    kinds.Convolution: Convolution,
    kinds.NodeOperation: NodeOperation,
    kinds.Norm: Norm,
    kinds.Messages: Messages,
    kinds.Sum: Sum,
    kinds.Pool: Pool,
    kinds.Linear: Linear,
}
