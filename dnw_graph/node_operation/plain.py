"""The node operation by torch's own operations: for any device and dtype, and to test faster ways against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.node_operation.activations import ACTIVATIONS
from dnw_graph.node_operation.kernels import NodeGradients


def refusal(spec: NodeSpec) -> str | None:
    """What of this operation torch lacks here; None if nothing."""
    if spec.activation not in ACTIVATIONS:
        return f"activation {spec.activation!r} is not known; choose {', '.join(ACTIVATIONS)}"
    if spec.kernel_size % 2 == 0:
        return f"a kernel of {spec.kernel_size}×{spec.kernel_size} has no middle; give it an odd side"
    return None


class PlainNodeKernels:
    """See `NodeKernels`."""

    def __init__(self, spec: NodeSpec) -> None:
        self._activation = ACTIVATIONS[spec.activation]

    def statistics(self, z: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        variance, mean = torch.var_mean(_wide(z).reshape(groups, -1), dim=1, correction=0)
        return mean, variance

    def forward(
        self, z: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, stride: int
    ) -> Tensor:
        normed = (_wide(z) - _spread(mean, z)) * _spread(rstd, z)
        affine = normed * _spread(scale, z) + _spread(shift, z)
        return depthwise(self._activation.forward(affine), kernel, stride).to(z.dtype)

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
        normed = (_wide(z) - _spread(mean, z)) * _spread(rstd, z)
        affine = normed * _spread(scale, z) + _spread(shift, z)
        active = self._activation.forward(affine)
        grad_active, grad_kernel = depthwise_backward(_wide(g), active, _wide(kernel), stride)
        grad_affine = self._activation.backward(grad_active, affine)
        grad_shift, grad_scale = grad_affine.sum((1, 2, 3)), (grad_affine * normed).sum((1, 2, 3))
        inner = grad_affine * _spread(scale, z)
        if through_statistics:
            # Of ẑ = (z − mean(z)) · rstd(z): what is constant or along ẑ within a group is lost.
            rows, along = inner.reshape(mean.numel(), -1), normed.reshape(mean.numel(), -1)
            product = (rows * along).mean(1, keepdim=True)
            inner = (rows - rows.mean(1, keepdim=True) - along * product).reshape(z.shape)
        gradient = (inner * _spread(rstd, z)).to(z.dtype)
        gradient = gradient if grad_z is None else grad_z.copy_(gradient)
        return NodeGradients(gradient, grad_scale, grad_shift, grad_kernel)


def _wide(tensor: Tensor) -> Tensor:
    """Half floats as float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _spread(values: Tensor, z: Tensor) -> Tensor:
    """One value per node [C] or per map [C·B], to multiply maps [C, B, H, W] with."""
    return values.reshape(z.shape[0], -1, 1, 1)


def depthwise(x: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """Convolution of each channel with its own kernel of odd side k, padding k // 2.

    x [C, B, H, W], kernel [C, 1, k, k] → [C, B, ceil(H/stride), ceil(W/stride)]
    """
    channels, images, height, width = x.shape
    if not x.numel():
        return x.new_zeros(channels, images, -(-height // stride), -(-width // stride)) + 0 * kernel.sum()
    # Each map is a group of one large "image", so that no layout is converted.
    maps = x.reshape(1, channels * images, height, width)
    kernels = kernel.repeat_interleave(images, dim=0).to(x.dtype)
    padding = kernel.shape[-1] // 2
    out = F.conv2d(maps, kernels, stride=stride, padding=padding, groups=channels * images)
    return out.reshape(channels, images, *out.shape[2:])


def depthwise_backward(g: Tensor, x: Tensor, kernel: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Gradients of `depthwise` to x and kernel.

    Written out, because autograd is off inside an operator.
    """
    channels, images, height, width = x.shape
    groups = channels * images
    grad_maps, grad_kernels, _ = torch.ops.aten.convolution_backward(
        g.reshape(1, groups, *g.shape[2:]),
        x.reshape(1, groups, height, width),
        kernel.repeat_interleave(images, dim=0),
        None,
        [stride, stride],
        [kernel.shape[-1] // 2] * 2,
        [1, 1],
        False,
        [0, 0],
        groups,
        [True, True, False],
    )
    grad_kernel = grad_kernels.reshape(channels, images, *kernel.shape[2:]).sum(1)
    return grad_maps.reshape(x.shape), grad_kernel.reshape(kernel.shape)
