"""Every kernel on the device against float64, on sizes of real networks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.gpu.network_checks import checked, network_checks
from benchmarks.gpu.timing import DEVICE
from dnw_graph.message_passing import EdgeIndex, find_backend
from dnw_graph.node_operation.triton import TritonNodeKernels

# Greatest max|a − b| / max|b|. The interpreter cuts bfloat16 off instead of rounding it: up to 2^-7.
LIMITS = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
# Targets, sources, edges, columns: a stage of the large network, a single image, a batch of the tiny one.
BLOCKS = (
    (3072, 256, 18000, 64 * 196),
    (2048, 512, 23000, 49),
    (768, 192, 15000, 512 * 64),
    (130, 33, 700, 77),
)
# Channels, images, height, width.
MAPS = ((64, 8, 112, 112), (512, 64, 14, 14), (192, 128, 8, 8), (33, 1, 7, 5))
SMOKE_BLOCKS, SMOKE_MAPS = ((9, 7, 20, 70),), ((1, 2, 5, 2),)


def checks(smoke: bool) -> Iterator[dict[str, Any]]:
    """One record per kernel, size and number format: what, error, limit, whether it is within."""
    for dtype, limit in LIMITS.items():
        if smoke and dtype == torch.float16:
            continue
        for block in SMOKE_BLOCKS if smoke else BLOCKS:
            yield from checked(str(block), dtype, limit, _messages(*block, dtype))
        # Every size takes some seconds to compile for.
        sizes = SMOKE_MAPS if smoke else MAPS if dtype == torch.float32 else MAPS[1::2]
        for size in sizes:
            for per_map, stride in ((False, 1), (True, 2)):
                about = f"{size}, stride {stride}, norm per {'map' if per_map else 'node'}"
                found = _node_operation(size, stride, per_map, dtype)
                # Sums over many terms that cancel: the slopes of scale and shift.
                yield from checked(about, dtype, 5 * limit, found)
    yield from network_checks(smoke)


def _messages(
    targets: int, sources: int, edges: int, columns: int, dtype: torch.dtype
) -> Iterator[tuple[str, float]]:
    generator = torch.Generator(DEVICE).manual_seed(0)
    score = torch.rand(targets * sources, generator=generator, device=DEVICE)
    index = EdgeIndex.of_positions(score.topk(edges).indices.sort().values, targets, sources)

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device=DEVICE).to(dtype)

    h, g, value = normal(sources, columns), normal(targets, columns), normal(edges)
    ours, dense = find_backend("triton"), find_backend("dense")
    of = h.double(), g.double(), value.double()
    yield (
        "aggregate",
        _error(ours.send(index, value, h)[0], dense.send(index, of[2], of[0])[0]),
    )
    yield (
        "transposed",
        _error(
            ours.send_back(index, value, [g]),
            dense.send_back(index, of[2], [of[1]]),
        ),
    )
    yield (
        "edge gradient",
        _error(ours.edge_gradient(index, [g], h), dense.edge_gradient(index, [of[1]], of[0])),
    )


def _node_operation(
    size: tuple[int, int, int, int], stride: int, per_map: bool, dtype: torch.dtype
) -> Iterator[tuple[str, float]]:
    generator = torch.Generator(DEVICE).manual_seed(1)
    channels, images = size[:2]

    def normal(*size: int) -> Tensor:
        return torch.randn(*size, generator=generator, device=DEVICE)

    groups = channels * images if per_map else channels
    scale, shift = 1 + 0.2 * normal(channels), normal(channels)
    z = _away_from_the_kink((3 + 2 * normal(*size)).to(dtype), scale, shift, groups)
    parameters, ours = (scale, shift, normal(channels, 1, 3, 3)), TritonNodeKernels()
    mean, variance = ours.statistics(z, groups)
    exact = z.double().reshape(groups, -1)
    yield "mean", _error(mean, exact.mean(1))
    yield "variance", _error(variance, exact.var(1, correction=0))
    rstd = torch.rsqrt(variance + 1e-5)
    leaves = [each.double().requires_grad_() for each in (z, *parameters)]
    expected = _by_torch(*leaves, stride=stride, groups=groups)
    h = ours.forward(z, mean, rstd, *parameters, stride)
    yield "node forward", _error(h, expected.detach())
    g = normal(*h.shape).to(dtype)
    found = ours.backward(g, z, mean, rstd, *parameters, stride, True)
    slopes = torch.autograd.grad(expected, leaves, g.double())
    for name, slope, exact_slope in zip(found._fields, found, slopes, strict=True):
        yield f"node backward, {name}", _error(slope, exact_slope)


def _away_from_the_kink(z: Tensor, scale: Tensor, shift: Tensor, groups: int) -> Tensor:
    """z, moved where a ReLU sees 0 but for rounding: float32 and float64 may see different slopes there."""
    variance, mean = torch.var_mean(z.double().reshape(groups, -1), 1, correction=0)
    spread = z.shape[0], -1, 1, 1
    normed = (z.double() - mean.reshape(spread)) * torch.rsqrt(variance.reshape(spread) + 1e-5)
    before = normed * scale.double().reshape(spread) + shift.double().reshape(spread)
    # More than half a step of bfloat16, for all z that there are.
    return torch.where(before.abs() < 1e-4, z + 0.05, z)


def _by_torch(z: Tensor, scale: Tensor, shift: Tensor, kernel: Tensor, *, stride: int, groups: int) -> Tensor:
    channels = z.shape[0]
    variance, mean = torch.var_mean(z.reshape(groups, -1), 1, correction=0)
    mean, rstd = (each.reshape(channels, -1, 1, 1) for each in (mean, torch.rsqrt(variance + 1e-5)))
    y = (z - mean) * rstd * scale.reshape(-1, 1, 1, 1) + shift.reshape(-1, 1, 1, 1)
    h = F.conv2d(F.relu(y).transpose(0, 1), kernel, stride=stride, padding=1, groups=channels)
    return h.transpose(0, 1)


def _error(found: Tensor, exact: Tensor) -> float:
    """max|a − b| / max|b|"""
    return float((found.double() - exact).abs().max() / exact.abs().max())
