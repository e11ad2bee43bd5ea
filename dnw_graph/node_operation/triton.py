"""The node operation and its gradient on a GPU, float32, bfloat16 or float16, computed in float32."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from dnw_graph.node_operation.kernels import NodeGradients
from dnw_graph.triton.availability import on_device
from dnw_graph.triton.maps import (
    OF_SCALE,
    OF_SHIFT,
    SUMS,
    backward_kernel,
    combine_kernel,
    forward_kernel,
    statistics_kernel,
)
from dnw_graph.triton.tiles import map_tile, parts_of, power_of_two


class TritonNodeKernels:
    """See `NodeKernels`; parameters may be float32 where z is shorter, and z may be empty."""

    def statistics(self, z: Tensor, groups: int) -> tuple[Tensor, Tensor]:
        """Mean and biased variance, each [groups] float32, of z seen as [groups, -1]; 0 where z is empty."""
        if not z.numel():
            return z.new_zeros(groups, dtype=torch.float32), z.new_zeros(groups, dtype=torch.float32)
        _check_layout(z=z)
        length = z.numel() // groups
        block = min(2048, power_of_two(length))
        parts, tiles = parts_of(groups, -(-length // block))
        means, squares = z.new_empty(2, groups * parts, dtype=torch.float32)
        span = tiles * block
        with on_device(z.device):
            statistics_kernel[(groups * parts,)](
                z, means, squares, length, parts, span, BLOCK=block, num_warps=4
            )
            if parts == 1:
                return means, squares
            mean, variance = z.new_empty(2, groups, dtype=torch.float32)
            combine_kernel[(groups,)](
                means, squares, mean, variance, length, parts, span, PARTS=power_of_two(parts), num_warps=1
            )
        return mean, variance

    def forward(
        self, z: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, stride: int
    ) -> Tensor:
        """→ h [C, B, ceil(H/stride), ceil(W/stride)] in the dtype of z."""
        shape = _checked(z, mean, rstd, scale, shift, kernel, stride)
        h = z.new_empty(shape.sent)
        if not h.numel():
            return h
        out_height, out_width = shape.sent[2:]
        tile = map_tile(shape.images * out_height, out_width)
        rows = -(-shape.images * out_height // tile.rows) * -(-out_width // tile.width)
        with on_device(z.device):
            forward_kernel[(mean.numel() * rows,)](
                *(z, mean, rstd, scale, shift, kernel, h, shape.groups, shape.images, *z.shape[2:]),
                *(out_height, out_width),
                STRIDE=stride,
                ROWS=tile.rows,
                WIDTH=tile.width,
                num_warps=tile.warps,
            )
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
        """Gradients for g = ∂L/∂h; activations are computed anew, nothing but sums is kept.

        through_statistics  mean and rstd are those of z and carry gradient; else they are constants
        grad_z              [C, B, H, W] contiguous: where ∂L/∂z is written, if given
        """
        shape = _checked(z, mean, rstd, scale, shift, kernel, stride)
        grad_z = torch.empty_like(z) if grad_z is None else grad_z
        _check_layout(g=g, grad_z=grad_z)
        if g.shape != shape.sent or grad_z.shape != z.shape:
            raise ValueError(
                f"g {tuple(g.shape)} or grad_z {tuple(grad_z.shape)} do not fit z {tuple(z.shape)}"
            )
        if not z.numel():
            zeros = (torch.zeros_like(each) for each in (scale, shift, kernel))
            return NodeGradients(grad_z, *zeros)
        groups = mean.numel()
        tile = map_tile(shape.images * z.shape[2], z.shape[3])
        across = -(-z.shape[3] // tile.width)
        parts, tiles = parts_of(groups, -(-shape.images * z.shape[2] // tile.rows) * across)
        sums = z.new_empty(groups, parts, SUMS.value, dtype=torch.float32)

        def launch(sums: Tensor, parts: int, tiles: int, write: bool, add_up: bool) -> None:
            with on_device(z.device):
                backward_kernel[(groups * parts,)](
                    *(g, z, mean, rstd, scale, shift, kernel, sums, grad_z, shape.groups, shape.images),
                    *(*z.shape[2:], *g.shape[2:], parts, tiles),
                    STRIDE=stride,
                    SUM=add_up,
                    WRITE=write,
                    THROUGH=write and through_statistics,
                    ROWS=tile.rows,
                    WIDTH=tile.width,
                    num_warps=tile.warps,
                )

        at_once = not through_statistics or parts * tiles == 1
        launch(sums, parts, tiles, write=at_once, add_up=True)
        totals = sums[:, 0] if parts == 1 else sums.sum(1)
        if not at_once:
            launch(totals.contiguous(), parts, tiles, write=True, add_up=False)
        of_channel = totals if shape.groups == 1 else totals.reshape(z.shape[0], shape.groups, -1).sum(1)
        return NodeGradients(
            grad_z,
            of_channel[:, OF_SCALE.value].to(scale.dtype),
            of_channel[:, OF_SHIFT.value].to(shift.dtype),
            of_channel[:, :9].reshape(kernel.shape).to(kernel.dtype),
        )


class _Shape(NamedTuple):
    """Groups per channel, maps per group, and the shape of h."""

    groups: int
    images: int
    sent: tuple[int, int, int, int]


def _checked(
    z: Tensor, mean: Tensor, rstd: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, stride: int
) -> _Shape:
    """What the kernels are told; ValueError where that would make them read elsewhere."""
    _check_layout(z=z, mean=mean, rstd=rstd, scale=scale, shift=shift, kernel=kernel)
    nodes, images, height, width = z.shape
    if stride not in (1, 2):
        raise ValueError(f"stride must be 1 or 2, not {stride}")
    if mean.numel() not in (nodes, nodes * images) or rstd.numel() != mean.numel():
        raise ValueError(
            f"{mean.numel()} means and {rstd.numel()} rstd do not fit {nodes} nodes × {images} images"
        )
    if (scale.numel(), shift.numel(), kernel.numel()) != (nodes, nodes, 9 * nodes):
        raise ValueError(f"scale, shift [{nodes}] and kernel [{nodes}, 1, 3, 3] wanted, one per node of z")
    groups = 1 if mean.numel() == nodes else images
    sent = (nodes, images, -(-height // stride), -(-width // stride))
    return _Shape(groups, images // groups if groups else images, sent)


def _check_layout(**tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_contiguous() or tensor.dtype not in (torch.float32, torch.bfloat16, torch.float16):
            raise ValueError(f"{name} must be contiguous float32, bfloat16 or float16, not {tensor.dtype}")
