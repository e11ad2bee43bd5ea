"""The node operation in Triton against torch in float64; interpreted where there is no GPU."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dnw_graph.models.node_operation import depthwise
from dnw_graph.triton import availability

REASON = availability.reason()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
EPS = 1e-3
# Channels, images, height, width. The interpreter takes some milliseconds per program.
SIZES = {
    "odd": (2, 3, 7, 5),
    "even": (2, 2, 8, 8),
    "one pixel": (3, 2, 1, 1),
    "one image": (2, 1, 2, 9),
    "wide": (1, 1, 3, 150),
    "high": (1, 2, 130, 3),
}


@pytest.fixture(scope="module")
def ours():
    from dnw_graph.node_operation.triton import TritonNodeKernels

    return TritonNodeKernels()


def operands(size, dtype=torch.float32):
    """z with a mean far from 0, scale, shift, kernel."""
    generator = torch.Generator().manual_seed(sum(size))
    channels = size[0]

    def normal(*shape):
        return torch.randn(*shape, generator=generator)

    z = (5 + 2 * normal(*size)).to(dtype)
    return [
        each.to(DEVICE)
        for each in (z, 1 + 0.3 * normal(channels), normal(channels), normal(channels, 1, 3, 3))
    ]


def by_torch(z, scale, shift, kernel, stride, per_map, fixed=None):
    """h, from mean and rstd of z or from those that are given."""
    channels, images = z.shape[:2]
    grouped = z.reshape(channels * images if per_map else channels, -1)
    if fixed is None:
        variance, mean = torch.var_mean(grouped, 1, correction=0)
        fixed = mean, torch.rsqrt(variance + EPS)
    mean, rstd = (each.reshape(channels, -1, 1, 1) for each in fixed)
    normed = (z - mean) * rstd * scale.reshape(-1, 1, 1, 1) + shift.reshape(-1, 1, 1, 1)
    return depthwise(F.relu(normed), kernel, stride)


def close(found, expected, tolerance):
    scale = float(expected.abs().max()) if expected.numel() else 1.0
    torch.testing.assert_close(found.double(), expected, rtol=tolerance, atol=tolerance * scale)


def check(ours, size, stride, per_map, through, dtype=torch.float32, tolerance=2e-5):
    z, scale, shift, kernel = operands(size, dtype)
    groups = size[0] * size[1] if per_map else size[0]
    mean, variance = ours.statistics(z, groups)
    assert mean.dtype == variance.dtype == torch.float32
    exact = z.double().reshape(groups, -1)
    close(mean, exact.mean(1), 1e-6)
    close(variance, exact.var(1, correction=0), 1e-5)

    rstd = torch.rsqrt(variance + EPS)
    h = ours.forward(z, mean, rstd, scale, shift, kernel, stride)
    leaves = [each.double().requires_grad_() for each in (z, scale, shift, kernel)]
    fixed = None if through else (mean.double(), rstd.double())
    expected = by_torch(*leaves, stride, per_map, fixed)
    assert h.dtype == dtype
    assert h.is_contiguous()
    close(h, expected.detach(), tolerance)

    g = torch.randn(h.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE, dtype)
    found = ours.backward(g, z, mean, rstd, scale, shift, kernel, stride, through)
    slopes = torch.autograd.grad(expected, leaves, g.double())
    assert found.z.dtype == dtype
    for ours_slope, slope in zip(found, slopes, strict=True):
        # Where a slope is 0 but for rounding, as to one pixel normed by itself, the others give the scale.
        reach = max(float(slope.abs().max()), float(g.abs().max()))
        torch.testing.assert_close(ours_slope.double(), slope, rtol=tolerance, atol=tolerance * reach * 5)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize(
    ("stride", "per_map", "through"), [(1, False, True), (2, True, True), (2, False, False)]
)
def test_equals_torch_forward_and_backward(ours, size, stride, per_map, through):
    check(ours, size, stride, per_map, through)


@pytest.mark.parametrize(
    ("stride", "per_map", "through"), [(2, False, True), (1, True, True), (1, False, False)]
)
def test_the_other_ways_equal_torch_too(ours, stride, per_map, through):
    check(ours, SIZES["odd"], stride, per_map, through)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float16, 4e-3), (torch.bfloat16, 2e-2)])
def test_short_floats_are_computed_in_float32(ours, dtype, tolerance):
    check(ours, SIZES["odd"], 2, False, True, dtype, tolerance)


def test_sums_of_several_programs_are_put_together(ours, monkeypatch):
    """More rows than one tile: statistics and gradients of a group are those of all its parts."""
    monkeypatch.setattr("dnw_graph.triton.tiles._BUSY", 3)
    check(ours, (1, 3, 32, 32), 1, False, True)


def test_statistics_of_numbers_far_from_zero(ours):
    """A variance of 1 beside a mean of 10,000: E[z²] − E[z]² would be lost in float32."""
    z = 1e4 + torch.randn(2, 3, 30, 30, generator=torch.Generator().manual_seed(0))
    _, variance = ours.statistics(z.to(DEVICE), 2)
    close(variance, z.double().reshape(2, -1).var(1, correction=0).to(DEVICE), 1e-3)


def test_the_gradient_may_be_written_where_the_caller_says(ours):
    z, scale, shift, kernel = operands(SIZES["even"])
    mean, rstd = torch.zeros(2, device=DEVICE), torch.ones(2, device=DEVICE)
    g, into = torch.randn_like(z), torch.empty_like(z)
    constants = (z, mean, rstd, scale, shift, kernel, 1, False)
    found = ours.backward(g, *constants, into)
    assert found.z is into
    torch.testing.assert_close(into, ours.backward(g, *constants).z)


def test_a_number_that_is_none_stays_none(ours):
    """ReLU as a maximum would make 0 of it, and a diverging network would look fine."""
    z, scale, shift, kernel = operands(SIZES["even"])
    z[0, 0, 4, 4] = float("nan")
    h = ours.forward(z, torch.zeros(2, device=DEVICE), torch.ones(2, device=DEVICE), scale, shift, kernel, 1)
    assert h[0, 0, 3:6, 3:6].isnan().all()
    assert h.isnan().sum() == 9


@pytest.mark.parametrize("size", [(2, 0, 5, 5), (0, 3, 4, 4)])
def test_nothing_gives_nothing(ours, size):
    z, scale, shift, kernel = operands(size)
    mean, variance = ours.statistics(z, size[0])
    assert mean.tolist() == variance.tolist() == [0.0] * size[0]
    h = ours.forward(z, mean, variance, scale, shift, kernel, 2)
    assert h.shape == (size[0], size[1], -(-size[2] // 2), -(-size[3] // 2))
    found = ours.backward(h, z, mean, variance, scale, shift, kernel, 2, True)
    assert found.z.shape == z.shape
    assert found.kernel.shape == kernel.shape
    assert not found.kernel.any()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"stride": 3}, "stride must be 1 or 2, not 3"),
        ({"mean": torch.zeros(3)}, "3 means and 2 rstd do not fit 2 nodes × 2 images"),
        ({"scale": torch.zeros(1)}, r"scale, shift \[2\] and kernel \[2, 1, 3, 3\] wanted"),
        ({"z": torch.zeros(2, 2, 4, 4).transpose(0, 1)}, "z must be contiguous"),
        (
            {"z": torch.zeros(2, 2, 4, 4, dtype=torch.float64)},
            "z must be contiguous float32, bfloat16 or float16",
        ),
    ],
)
def test_operands_that_do_not_fit_are_refused(ours, change, sentence):
    arguments = {
        "z": torch.zeros(2, 2, 4, 4),
        "mean": torch.zeros(2),
        "rstd": torch.ones(2),
        "scale": torch.ones(2),
        "shift": torch.zeros(2),
        "kernel": torch.zeros(2, 1, 3, 3),
        "stride": 1,
    }
    with pytest.raises(ValueError, match=sentence):
        ours.forward(**(arguments | change))
