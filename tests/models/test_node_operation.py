"""The node operation against torch's own layers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.models.node_operation import BatchNorm, InstanceNorm, NodeOperation
from dnw_graph.node_operation.plain import depthwise

SIZES = [(5, 3, 8, 8), (4, 2, 7, 5), (3, 1, 2, 9), (1, 4, 3, 3)]


def node_major(channels, images, height, width):
    z = torch.randn(channels, images, height, width, dtype=torch.float64)
    return z.requires_grad_()


def slopes(output, *inputs):
    cotangent = torch.randn(output.shape, generator=torch.Generator().manual_seed(0), dtype=output.dtype)
    return torch.autograd.grad(output, inputs, cotangent)


def plain_layers(operation, channels):
    """The same operation as torch layers on [B, C, H, W], sharing scale, shift and kernel."""
    if isinstance(operation.norm, InstanceNorm):
        norm = nn.InstanceNorm2d(channels, affine=True)
    else:
        norm = nn.BatchNorm2d(channels)
    convolution = nn.Conv2d(
        channels, channels, 3, stride=operation.spec.stride, padding=1, groups=channels, bias=False
    )
    norm.weight, norm.bias, convolution.weight = operation.norm.weight, operation.norm.bias, operation.kernel
    return norm.double(), convolution


def operation_of(channels, stride, norm):
    operation = NodeOperation(channels, NodeSpec(norm, stride=stride)).double()
    nn.init.uniform_(operation.norm.weight, 0.5, 1.5)
    nn.init.normal_(operation.norm.bias)
    return operation


@pytest.mark.parametrize("norm", ["batch", "instance"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_equals_torch_layers_forward_and_backward(size, stride, norm):
    operation, z = operation_of(size[0], stride, norm), node_major(*size)
    layer, convolution = plain_layers(operation, size[0])
    h = operation(z)
    expected = convolution(F.relu(layer(z.transpose(0, 1)))).transpose(0, 1)
    assert h.is_contiguous()
    torch.testing.assert_close(h, expected)
    parameters = (z, operation.kernel, operation.norm.weight, operation.norm.bias)
    by_us = slopes(h, *parameters)
    torch.testing.assert_close(by_us, slopes(expected, *parameters), rtol=1e-9, atol=1e-9)


def test_running_statistics_are_torchs():
    ours, theirs = BatchNorm(4).double(), nn.BatchNorm2d(4).double()
    for _ in range(3):
        z = torch.randn(4, 3, 5, 5, dtype=torch.float64)
        ours(z)
        theirs(z.transpose(0, 1))
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    assert ours.num_batches_tracked == 3
    ours.eval(), theirs.eval()
    torch.testing.assert_close(ours(z), theirs(z.transpose(0, 1)).transpose(0, 1))


def test_instance_norm_is_the_same_in_eval_mode():
    norm, z = InstanceNorm(3), torch.randn(3, 2, 4, 4)
    torch.testing.assert_close(norm.eval()(z), norm.train()(z))


def test_a_map_is_normalised_by_itself():
    """Images do not mix: a batch is the same as its images one by one."""
    norm, z = InstanceNorm(3), torch.randn(3, 2, 4, 4)
    torch.testing.assert_close(norm(z)[:, 1:], norm(z[:, 1:]))


def test_constant_map_becomes_the_shift():
    norm = InstanceNorm(1)
    nn.init.constant_(norm.bias, 0.25)
    # Rounding is multiplied by 1/sqrt(eps) = 316.
    torch.testing.assert_close(
        norm(torch.full((1, 1, 3, 3), 7.0)), torch.full((1, 1, 3, 3), 0.25), rtol=0, atol=1e-3
    )


@pytest.mark.parametrize(("side", "stride", "result"), [(7, 1, 7), (7, 2, 4), (8, 2, 4), (1, 2, 1)])
def test_output_side_is_rounded_up(side, stride, result):
    h = depthwise(torch.randn(2, 3, side, side), torch.randn(2, 1, 3, 3), stride)
    assert h.shape == (2, 3, result, result)


def test_convolution_of_one_pixel_by_hand():
    """A 1 in the middle of 3×3 spreads the kernel, mirrored."""
    x = torch.zeros(1, 1, 3, 3)
    x[0, 0, 1, 1] = 1
    kernel = torch.arange(9.0).reshape(1, 1, 3, 3)
    assert depthwise(x, kernel, 1).flatten().tolist() == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert depthwise(x, kernel, 2).flatten().tolist() == [8, 6, 2, 0]


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_a_node_operation_of_no_image_gives_no_map(norm):
    assert NodeOperation(2, NodeSpec(norm, stride=2)).eval()(torch.empty(2, 0, 5, 5)).shape == (2, 0, 3, 3)


def test_a_convolution_of_no_image_gives_no_map():
    h = depthwise(torch.empty(2, 0, 5, 5), torch.randn(2, 1, 3, 3), 2)
    assert h.shape == (2, 0, 3, 3)
