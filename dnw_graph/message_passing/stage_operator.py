"""A whole stage as one torch operator: node operations and message passing, level by level.

For the levels 0 … n of a stage, with z_0 given:

    h_i = node operation of z_i                                   (i < n)
    z_j = Σ_{i<j} Σ_{(u,v) selected} w_uv · h_u                    (j > 0)
    z_n = z_n + the last `carry` nodes of z_{n-1}

States are summed in place, activations are computed anew for the gradients, and the gradient to the candidate
edges is written straight into one flat tensor. With g = ∂L/∂z and a share of the batch's images,

    ∂L/∂w_uv = Σ_{b,y,x} g_v h_u            for selected edges, over all images
             = factor · Σ_{b<images,y,x} g_v h_u   for the other candidates (reach "candidates")

It is what `message_passing` and `NodeOperation` say one by one.

Source: Wortsman, Farhadi, Rastegari 2019, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from dnw_graph.message_passing.backend import find_backend, usable_backend
from dnw_graph.message_passing.edge_gradient import write_edge_gradient
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.message_passing.executed import record
from dnw_graph.message_passing.stage_block import blocks_of
from dnw_graph.node_operation import node_kernels

BATCH, INSTANCE, FIXED = "batch", "instance", "fixed"


@torch.library.custom_op("dnw_graph::stage", mutates_args=())
def run_stage(
    z: Tensor,
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
    kernel: Tensor,
    fixed_mean: Tensor | None,
    fixed_variance: Tensor | None,
    pointer: Sequence[Tensor],
    source: Sequence[Tensor],
    position: Sequence[Tensor],
    sizes: Sequence[int],
    stride: int,
    carry: int,
    norm: str,
    eps: float,
    reach: str,
    images: int,
    factor: float,
    backend: str,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States of a stage's input level → those of its last level.

    z         [S_0, B, H, W] float, contiguous, not empty
    weight    [candidates], same dtype: what messages are multiplied by, one block per sending level
    scale, shift [Σ S_i], kernel [Σ S_i, 1, 3, 3] over the sending levels: the node operations' parameters
    fixed_mean, fixed_variance  [Σ S_i] with norm "fixed", else None
    pointer, source, position   per sending level, see `EdgeIndex`
    sizes     S_0 … S_n, nodes of each level
    stride    of the input level's convolution; the others have 1
    norm      "batch": statistics of this batch; "instance": of each map; "fixed": the ones given
    reach, images, factor  which candidates get gradient, see above; images B and factor 1: all of it
    returns   (z_n [S_n, B, H', W'], states of the levels between, mean, biased variance); only the first is
              differentiable; mean and variance are [Σ S_i] ("batch", "fixed") or [Σ S_i · B] ("instance")
    """
    blocks = blocks_of(weight, pointer, source, position, sizes)
    engine, nodes = usable_backend(backend, z.device, z.dtype), node_kernels(z.device, z.dtype)
    batch, height, width = z.shape[1], -(-z.shape[2] // stride), -(-z.shape[3] // stride)
    states = z.new_empty(sum(sizes[1:-1]), batch, height, width)
    out = z.new_empty(sizes[-1], batch, height, width)
    means, variances, heard = [], [], False
    for block in blocks:
        here = z if block.level == 0 else states[block.states]
        if fixed_mean is not None and fixed_variance is not None:
            mean, variance = fixed_mean[block.nodes], fixed_variance[block.nodes]
        else:
            mean, variance = nodes.statistics(here, here.shape[0] * (batch if norm == INSTANCE else 1))
        means.append(mean)
        variances.append(variance)
        h = nodes.forward(
            here,
            mean,
            torch.rsqrt(variance + eps),
            scale[block.nodes],
            shift[block.nodes],
            kernel[block.nodes],
            stride if block.level == 0 else 1,
        )
        later, rows = block.reached(states, out), _rows(h)
        record(engine.executed_macs(block.source.numel(), block.targets, block.size, rows.shape[1]))
        add = block.level > 0
        if block.last and not heard:
            # Nobody wrote to the last level yet.
            heard = True
            add = add and len(later) == 2
            if add or not block.source.numel():
                out.zero_()
        if block.source.numel():
            value = block.weight[block.position]
            engine.accumulate(later, rows, value, block.pointer, block.source, add=add)
        elif block.level == 0:
            states.zero_()
    if carry:
        out += (states if states.shape[0] else z)[-carry:]
    return out, states, torch.cat(means), torch.cat(variances)


@torch.library.custom_op("dnw_graph::stage_backward", mutates_args=())
def run_stage_backward(
    g: Tensor,
    z: Tensor,
    states: Tensor,
    mean: Tensor,
    variance: Tensor,
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
    kernel: Tensor,
    pointer: Sequence[Tensor],
    source: Sequence[Tensor],
    position: Sequence[Tensor],
    sizes: Sequence[int],
    stride: int,
    carry: int,
    norm: str,
    eps: float,
    reach: str,
    images: int,
    factor: float,
    backend: str,
    wants_weight: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `run_stage` for g = ∂L/∂z_n: to z, weight, scale, shift, kernel."""
    blocks = blocks_of(weight, pointer, source, position, sizes)
    engine, nodes = usable_backend(backend, z.device, z.dtype), node_kernels(z.device, z.dtype)
    grad_z, grad_states = torch.empty_like(z), torch.empty_like(states)
    grad_weight = torch.empty_like(weight) if wants_weight else weight.new_empty(0)
    parameters = torch.empty_like(scale), torch.empty_like(shift), torch.empty_like(kernel)
    groups = z.shape[1] if norm == INSTANCE else 1
    for block in reversed(blocks):
        first = block.level == 0
        here = z if first else states[block.states]
        of_block = slice(block.nodes.start * groups, block.nodes.stop * groups)
        constants = (
            mean[of_block],
            torch.rsqrt(variance[of_block] + eps),
            scale[block.nodes],
            shift[block.nodes],
            kernel[block.nodes],
            stride if first else 1,
        )
        h = nodes.forward(here, *constants)
        later = block.reached(grad_states, g)
        if wants_weight:
            share = images * h.shape[2] * h.shape[3] if reach == "candidates" else 0
            index = EdgeIndex(block.pointer, block.source, block.position, block.size)
            write_edge_gradient(grad_weight[block.candidates], later, _rows(h), index, engine, share, factor)
        into = grad_z if first else grad_states[block.states]
        if block.source.numel():
            value = block.weight[block.position]
            # What h held is no longer needed: its memory takes the gradient to it.
            del h
            sent = engine.transposed_of_pieces(later, value, block.pointer, block.source, block.size)
            shape = (block.size, *g.shape[1:])
            found = nodes.backward(sent.reshape(shape), here, *constants, norm != FIXED, into)
            for whole, part in zip(parameters, found[1:], strict=True):
                whole[block.nodes] = part
        else:
            into.zero_()
            for whole in parameters:
                whole[block.nodes] = 0
        if carry and block.level == len(sizes) - 2:
            into[-carry:] += g
    return grad_z, grad_weight, *parameters


@run_stage.register_fake
def _(z, weight, scale, shift, kernel, fixed_mean, fixed_variance, pointer, source, position, sizes, stride,  # type: ignore[no-untyped-def]
      carry, norm, eps, reach, images, factor, backend):  # fmt: skip
    maps = (z.shape[1], -(-z.shape[2] // stride), -(-z.shape[3] // stride))
    groups = z.shape[1] if norm == INSTANCE else 1
    statistics = z.new_empty(sum(sizes[:-1]) * groups)
    between = z.new_empty(sum(sizes[1:-1]), *maps)
    return z.new_empty(sizes[-1], *maps), between, statistics, torch.empty_like(statistics)


@run_stage_backward.register_fake
def _(g, z, states, mean, variance, weight, scale, shift, kernel, *args):  # type: ignore[no-untyped-def]
    wanted = weight if args[-1] else weight.new_empty(0)
    return tuple(torch.empty_like(tensor) for tensor in (z, wanted, scale, shift, kernel))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    z, weight, scale, shift, kernel, _, _, pointer, source, position, *plan = inputs
    _, states, mean, variance = output
    ctx.mark_non_differentiable(states, mean, variance)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        z, states, mean, variance, weight, scale, shift, kernel, *pointer, *source, *position
    )
    ctx.plan = plan


def _backward(ctx: Any, g: Tensor | None, *unused: Tensor | None) -> tuple[Any, ...]:
    levels = (len(ctx.saved_tensors) - 8) // 3
    rest = [None] * (len(ctx.plan) + 2)
    index = [[None] * levels for _ in range(3)]
    if g is None:
        return (*[None] * 5, *rest[:2], *index, *rest[2:])
    tensors, indices = ctx.saved_tensors[:8], ctx.saved_tensors[8:]
    parts = [list(indices[i * levels : (i + 1) * levels]) for i in range(3)]
    wants_weight = ctx.needs_input_grad[1]
    gradients = run_stage_backward(g.contiguous(), *tensors, *parts, *ctx.plan, wants_weight)
    grad_z, grad_weight, *others = gradients
    return (grad_z, grad_weight if wants_weight else None, *others, *rest[:2], *index, *rest[2:])


run_stage.register_autograd(_backward, setup_context=_setup_context)


@register_flop_formula(torch.ops.dnw_graph.stage)
def _forward_flops(  # type: ignore[no-untyped-def]
    z_shape, weight_shape, scale_shape, shift_shape, kernel_shape, mean_shape, variance_shape, pointer_shapes,
    source_shapes, position_shapes, sizes, stride, *args, **kwargs
) -> int:  # fmt: skip
    columns = _sent_pixels(z_shape, stride)
    messages = _messages(args[-1], pointer_shapes, source_shapes, sizes, columns)
    return 2 * (9 * sum(sizes[:-1]) * columns + messages)


@register_flop_formula(torch.ops.dnw_graph.stage_backward)
def _backward_flops(  # type: ignore[no-untyped-def]
    g_shape, z_shape, states_shape, mean_shape, variance_shape, weight_shape, scale_shape, shift_shape,
    kernel_shape, pointer_shapes, source_shapes, position_shapes, sizes, stride, carry, norm, eps, reach,
    images, factor, backend, wants_weight, **kwargs
) -> int:  # fmt: skip
    columns = _sent_pixels(z_shape, stride)
    messages = _messages(backend, pointer_shapes, source_shapes, sizes, columns)
    # The convolution once more, its gradient to the maps and to the kernels.
    macs = 3 * 9 * sum(sizes[:-1]) * columns + messages
    if wants_weight and reach == "candidates":
        macs += weight_shape[0] * columns * images // max(1, z_shape[1])
    if wants_weight and (reach == "selected" or images < z_shape[1] or factor != 1.0):
        macs += messages
    return 2 * macs


def _messages(backend: str, pointers: Any, sources: Any, sizes: Any, columns: int) -> int:
    engine = find_backend(backend)
    return sum(
        engine.executed_macs(source[0], pointer[0] - 1, size, columns)
        for pointer, source, size in zip(pointers, sources, sizes, strict=False)
    )


def _sent_pixels(z_shape: Any, stride: int) -> int:
    return int(z_shape[1]) * -(-int(z_shape[2]) // stride) * -(-int(z_shape[3]) // stride)


def _rows(features: Tensor) -> Tensor:
    """[nodes, B, H, W] → [nodes, B·H·W]."""
    return features.reshape(features.shape[0], features.shape[1:].numel())
