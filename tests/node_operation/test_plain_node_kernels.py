"""The node operation by torch's operations, against torch's own layers and autograd in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from dnw_graph.node_operation.plain import PlainNodeKernels

EPS = 1e-5
SIZES = [(3, 4, 5, 6), (2, 1, 1, 7), (1, 3, 8, 8), (4, 2, 7, 3), (2, 5, 2, 1)]


def learnt(*size):
    return torch.randn(*size, dtype=torch.float64, requires_grad=True)


def by_definition(z, norm, scale, shift, kernel, stride):
    """On [B, C, H, W], as torch's layers are; norm "fixed" has mean 0.3 and variance 2 for all nodes."""
    images = z.transpose(0, 1)
    nodes = z.shape[0]
    if norm == "map":
        normed = F.group_norm(images, nodes, scale, shift, EPS)
    else:
        fixed = torch.full((nodes,), 0.3).double(), torch.full((nodes,), 2.0).double()
        normed = F.batch_norm(images, *fixed, scale, shift, training=norm == "node", eps=EPS)
    h = F.conv2d(F.relu(normed), kernel, stride=stride, padding=1, groups=nodes)
    return h.transpose(0, 1)


def operands(size, norm):
    z, scale, shift, kernel = learnt(*size), learnt(size[0]), learnt(size[0]), learnt(size[0], 1, 3, 3)
    mean, variance = torch.full((size[0],), 0.3).double(), torch.full((size[0],), 2.0).double()
    if norm != "fixed":
        groups = size[0] * (size[1] if norm == "map" else 1)
        mean, variance = PlainNodeKernels().statistics(z.detach(), groups)
    return z, mean, (variance + EPS).rsqrt(), scale, shift, kernel


@pytest.mark.parametrize("norm", ["node", "map", "fixed"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_forward_and_gradients_are_the_layers(size, stride, norm):
    torch.manual_seed(sum(size))
    z, *constants, scale, shift, kernel = operands(size, norm)
    expected = by_definition(z, norm, scale, shift, kernel, stride)
    plain, operation = PlainNodeKernels(), [each.detach() for each in (z, *constants, scale, shift, kernel)]
    h = plain.forward(*operation, stride)
    torch.testing.assert_close(h, expected, rtol=1e-10, atol=1e-10)
    g = torch.randn_like(expected).contiguous()
    wanted = torch.autograd.grad(expected, [z, scale, shift, kernel], g)
    into = torch.full_like(z, torch.nan)
    for grad_z in (None, into):
        found = plain.backward(g, *operation, stride, norm != "fixed", grad_z)
        torch.testing.assert_close(tuple(found), wanted, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(into, wanted[0], rtol=1e-9, atol=1e-9)


def test_statistics_are_biased_and_of_each_group():
    z = torch.tensor([[[[1.0, 3]], [[5, 7]]], [[[0, 0]], [[0, 8]]]], dtype=torch.float64)
    mean, variance = PlainNodeKernels().statistics(z, 2)
    assert mean.tolist() == [4, 2]
    assert variance.tolist() == [5, 12]
    mean, variance = PlainNodeKernels().statistics(z, 4)
    assert mean.tolist() == [2, 6, 0, 4]
    assert variance.tolist() == [1, 1, 0, 16]
