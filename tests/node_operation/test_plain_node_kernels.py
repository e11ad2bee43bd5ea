"""The node operation by torch's operations, against torch's own layers and autograd in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from dnw_graph.graph.node_spec import Activation, NodeSpec
from dnw_graph.node_operation import node_kernels
from dnw_graph.node_operation.activations import ACTIVATIONS
from dnw_graph.node_operation.plain import PlainNodeKernels, refusal

EPS = 1e-5
SIZES = [(3, 4, 5, 6), (2, 1, 1, 7), (1, 3, 8, 8), (4, 2, 7, 3), (2, 5, 2, 1)]


def learnt(*size):
    return torch.randn(*size, dtype=torch.float64, requires_grad=True)


RELU = NodeSpec("batch")
BY_NAME = {
    "relu": F.relu,
    "relu6": F.relu6,
    "hardswish": F.hardswish,
    "silu": F.silu,
    "identity": lambda x: x,
}


def by_definition(z, norm, scale, shift, kernel, spec):
    """On [B, C, H, W], as torch's layers are; norm "fixed" has mean 0.3 and variance 2 for all nodes."""
    images = z.transpose(0, 1)
    nodes = z.shape[0]
    if norm == "map":
        normed = F.group_norm(images, nodes, scale, shift, EPS)
    else:
        fixed = torch.full((nodes,), 0.3).double(), torch.full((nodes,), 2.0).double()
        normed = F.batch_norm(images, *fixed, scale, shift, training=norm == "node", eps=EPS)
    options = {"stride": spec.stride, "padding": spec.kernel_size // 2, "groups": nodes}
    return F.conv2d(BY_NAME[spec.activation](normed), kernel, **options).transpose(0, 1)


def operands(size, norm, kernel_size=3):
    z, scale, shift = learnt(*size), learnt(size[0]), learnt(size[0])
    mean, variance = torch.full((size[0],), 0.3).double(), torch.full((size[0],), 2.0).double()
    if norm != "fixed":
        groups = size[0] * (size[1] if norm == "map" else 1)
        mean, variance = PlainNodeKernels(RELU).statistics(z.detach(), groups)
    return z, mean, (variance + EPS).rsqrt(), scale, shift, learnt(size[0], 1, kernel_size, kernel_size)


def check(size, norm, spec):
    torch.manual_seed(sum(size))
    z, *constants, scale, shift, kernel = operands(size, norm, spec.kernel_size)
    expected = by_definition(z, norm, scale, shift, kernel, spec)
    plain = PlainNodeKernels(spec)
    operation = [each.detach() for each in (z, *constants, scale, shift, kernel)]
    h = plain.forward(*operation, spec.stride)
    torch.testing.assert_close(h, expected, rtol=1e-10, atol=1e-10)
    g = torch.randn_like(expected).contiguous()
    wanted = torch.autograd.grad(expected, [z, scale, shift, kernel], g)
    into = torch.full_like(z, torch.nan)
    for grad_z in (None, into):
        found = plain.backward(g, *operation, spec.stride, norm != "fixed", grad_z)
        torch.testing.assert_close(tuple(found), wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(into, wanted[0], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("norm", ["node", "map", "fixed"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_forward_and_gradients_are_the_layers(size, stride, norm):
    check(size, norm, replace(RELU, stride=stride))


@pytest.mark.parametrize("activation", BY_NAME)
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_all_activations_and_odd_kernels(activation, kernel_size):
    spec = NodeSpec("batch", activation, kernel_size, stride=2)
    assert refusal(spec) is None
    check((3, 4, 9, 7), "node", spec)


def test_the_table_knows_every_activation_that_a_node_operation_may_have():
    assert set(ACTIVATIONS) == set(get_args(Activation)) == set(BY_NAME)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (NodeSpec("batch", "tanh"), "activation 'tanh' is not known; choose relu, "),
        (NodeSpec("batch", kernel_size=4), "a kernel of 4×4 has no middle; give it an odd side"),
    ],
)
def test_what_nobody_can_do_is_refused(spec, reason):
    with pytest.raises(ValueError, match=reason):
        node_kernels(torch.device("cpu"), torch.float64, spec)


def test_statistics_are_biased_and_of_each_group():
    z = torch.tensor([[[[1.0, 3]], [[5, 7]]], [[[0, 0]], [[0, 8]]]], dtype=torch.float64)
    mean, variance = PlainNodeKernels(RELU).statistics(z, 2)
    assert mean.tolist() == [4, 2]
    assert variance.tolist() == [5, 12]
    mean, variance = PlainNodeKernels(RELU).statistics(z, 4)
    assert mean.tolist() == [2, 6, 0, 4]
    assert variance.tolist() == [1, 1, 0, 16]
