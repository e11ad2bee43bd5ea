"""Node operations with all they work on, and how far float32 may be from their exact results."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import pytest
import torch
from torch import Tensor

from dnw_graph.node_operation.plain import depthwise, depthwise_backward

EPSILON = torch.finfo(torch.float32).eps


@dataclass
class Operation:
    """The operands of `NodeKernels.forward` and `backward`."""

    g: Tensor
    z: Tensor
    mean: Tensor
    rstd: Tensor
    scale: Tensor
    shift: Tensor
    kernel: Tensor
    stride: int

    @property
    def forward(self):
        return self.z, self.mean, self.rstd, self.scale, self.shift, self.kernel, self.stride

    @property
    def backward(self):
        return self.g, *self.forward

    def exact(self):
        """The same in float64, which holds each float32 as it is."""
        wide = {field.name: getattr(self, field.name) for field in fields(self)}
        return Operation(**{name: v.double() if isinstance(v, Tensor) else v for name, v in wide.items()})

    def spread(self, values):
        return values.reshape(self.z.shape[0], -1, 1, 1)

    @property
    def normed(self):
        return (self.z - self.spread(self.mean)) * self.spread(self.rstd)

    def away_from_kinks(self):
        """No pixel so near the ReLU's kink that rounding decides its side: it is put on the mean."""
        exact = self.exact()
        moved, shift = exact.normed * exact.spread(exact.scale), exact.spread(exact.shift)
        near = (moved + shift).abs() < 64 * EPSILON * (moved.abs() + shift.abs())
        return replace(self, z=torch.where(near, self.spread(self.mean), self.z).contiguous())

    def sizes(self, through_statistics):
        """Of the terms that each number of h, ∂L/∂z, ∂scale, ∂shift, ∂kernel is a sum of."""
        exact = self.exact()
        normed, scale, kernel = exact.normed.abs(), exact.spread(exact.scale).abs(), exact.kernel.abs()
        active = normed * scale + exact.spread(exact.shift).abs()
        grad_active, grad_kernel = depthwise_backward(exact.g.abs(), active, kernel, self.stride)
        inner = (grad_active * scale).reshape(self.mean.numel(), -1)
        if through_statistics:
            along = normed.reshape(self.mean.numel(), -1)
            product = (inner * along).mean(1, keepdim=True)
            inner = inner + inner.mean(1, keepdim=True) + along * product
        grad_z = inner.reshape(self.z.shape) * exact.spread(exact.rstd).abs()
        sums = (grad_active * normed).sum((1, 2, 3)), grad_active.sum((1, 2, 3))
        return depthwise(active, kernel, self.stride), (grad_z, *sums, grad_kernel)


def random_operation(
    nodes=2, images=3, height=5, width=6, stride=1, per_map=False, offset=0.0, unit=1.0, seed=0
) -> Operation:
    """z around `offset` units, and the mean and rstd that a norm makes of it; float32."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, generator=generator)

    def away_from_zero(size):
        drawn = normal(size)
        return drawn + 0.1 * drawn.sign()

    z = (normal(nodes, images, height, width) + offset * (1 + normal(nodes, images, 1, 1).abs())) * unit
    groups = z.double().reshape(nodes * images if per_map else nodes, -1)
    variance, mean = torch.var_mean(groups, dim=1, correction=0)
    g = normal(nodes, images, math.ceil(height / stride), math.ceil(width / stride))
    return Operation(
        g,
        z,
        mean.float(),
        (variance + 1e-5).rsqrt().float(),
        away_from_zero(nodes),
        away_from_zero(nodes),
        normal(nodes, 1, 3, 3),
        stride,
    ).away_from_kinks()


@pytest.fixture(scope="session")
def operation():
    """operation(…) → operands, see `random_operation`."""
    return random_operation


@pytest.fixture(scope="session")
def assert_near():
    """assert_near(found, exact, sizes): as near as sums of terms of these sizes can be in float32."""

    def check(found, exact, sizes, units=32):
        excess = (found.double() - exact).abs() - units * EPSILON * sizes
        assert found.shape == exact.shape
        assert bool((excess <= 0).all()), f"beyond {units} roundings by {float(excess.max()):.3g}"

    return check
