"""The node operation by our own C kernels on a CPU, float32."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.native import library
from dnw_graph.native.calls import threads
from dnw_graph.native.status import done
from dnw_graph.native.structures import NodeGradientPlaces, NodeMaps
from dnw_graph.node_operation.kernels import NodeGradients

ACTIVATIONS = ("relu",)
_PURPOSE = "the rows that the node operation works on"


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why they cannot work on tensors of this kind, with the fix; None if they can."""
    if device.type != "cpu":
        return "the C kernels run on a CPU"
    if dtype != torch.float32:
        return f"the C kernels know float32, not {dtype}; use training.precision float32"
    return library.reason()


def refusal(spec: NodeSpec) -> str | None:
    """What of this operation they lack; None if nothing."""
    if spec.activation not in ACTIVATIONS:
        return f"the C kernels know activation {', '.join(ACTIVATIONS)}, not {spec.activation}"
    if spec.kernel_size != 3 or spec.stride not in (1, 2):
        size = f"{spec.kernel_size}×{spec.kernel_size}"
        return f"the C kernels know 3×3 convolutions of stride 1 and 2, not {size} of stride {spec.stride}"
    return None


class NativeNodeKernels:
    """See `NodeKernels`. Each core takes some of the nodes."""

    def statistics(self, z: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        _check_layout(z=z)
        _check_groups("groups", groups, z)
        mean, variance = z.new_empty(groups), z.new_empty(groups)
        maps = _maps(z, mean, variance, mean, mean, mean, 1)
        function = library.load().dnw_statistics
        done(function(ctypes.byref(maps), mean.data_ptr(), variance.data_ptr(), *threads()), _PURPOSE)
        return mean, variance

    def forward(
        self, z: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, stride: int
    ) -> Tensor:
        maps = _checked_maps(z, mean, rstd, scale, shift, kernel, stride)
        h = z.new_empty(_sent_shape(z, stride))
        done(library.load().dnw_node_forward(ctypes.byref(maps), h.data_ptr(), *threads()), _PURPOSE)
        return h

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
        result = NodeGradients(
            torch.empty_like(z) if grad_z is None else grad_z,
            torch.empty_like(scale),
            torch.empty_like(shift),
            torch.empty_like(kernel),
        )
        maps = _checked_maps(z, mean, rstd, scale, shift, kernel, stride)
        _check_layout(g=g, grad_z=result.z)
        if tuple(g.shape) != _sent_shape(z, stride) or result.z.shape != z.shape:
            raise ValueError(
                f"g {tuple(g.shape)} or grad_z {tuple(result.z.shape)} do not fit z {tuple(z.shape)}"
            )
        gradients = NodeGradientPlaces(*(tensor.data_ptr() for tensor in result), int(through_statistics))
        function = library.load().dnw_node_backward
        done(function(ctypes.byref(maps), g.data_ptr(), ctypes.byref(gradients), *threads()), _PURPOSE)
        return result


def _sent_shape(z: Tensor, stride: int) -> tuple[int, int, int, int]:
    nodes, images, height, width = z.shape
    return nodes, images, -(-height // stride), -(-width // stride)


def _checked_maps(
    z: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, stride: int
) -> NodeMaps:
    """What the kernels are told; ValueError where that would make them read elsewhere."""
    _check_layout(z=z, mean=mean, rstd=rstd, scale=scale, shift=shift, kernel=kernel)
    if stride not in (1, 2):
        raise ValueError(f"stride must be 1 or 2, not {stride}")
    _check_groups("means", mean.numel(), z)
    nodes = z.shape[0]
    if rstd.numel() != mean.numel():
        raise ValueError(f"{rstd.numel()} rstd do not fit {mean.numel()} means")
    if (scale.numel(), shift.numel(), kernel.numel()) != (nodes, nodes, 9 * nodes):
        raise ValueError(f"scale, shift [{nodes}] and kernel [{nodes}, 1, 3, 3] wanted, one per node of z")
    return _maps(z, mean, rstd, scale, shift, kernel, stride)


def _maps(
    z: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, stride: int
) -> NodeMaps:
    nodes, images, height, width = z.shape
    # With one image the two kinds of groups are the same.
    per_map = int(mean.numel() == nodes * images)
    pointers = (tensor.data_ptr() for tensor in (z, mean, rstd, scale, shift, kernel))
    return NodeMaps(*pointers, nodes, images, height, width, stride, per_map)


def _check_layout(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if tensor.device.type != "cpu" or tensor.dtype != torch.float32 or not tensor.is_contiguous():
            raise ValueError(
                f"{name}: contiguous float32 on the CPU wanted, not {tensor.dtype} on {tensor.device}"
            )


def _check_groups(name: str, groups: int, z: Tensor) -> None:
    if z.dim() != 4:
        raise ValueError(f"z [C, B, H, W] wanted, not {tuple(z.shape)}")
    nodes, images = z.shape[:2]
    if groups not in (nodes, nodes * images):
        raise ValueError(
            f"{groups} {name} do not fit {nodes} nodes × {images} images: one per node or per map"
        )
