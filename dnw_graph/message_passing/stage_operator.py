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

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from dnw_graph.message_passing.backend import find_backend, usable_backend
from dnw_graph.message_passing.edge_gradient import EdgeGradient
from dnw_graph.message_passing.native_stage import ImageStage, goes_by_image
from dnw_graph.message_passing.stage_block import blocks_of, places_of
from dnw_graph.message_passing.stage_pass import (
    BATCH,
    FIXED,
    INSTANCE,
    Parameters,
    StagePass,
    image_parts,
)
from dnw_graph.node_operation import node_kernels

__all__ = ["BATCH", "FIXED", "INSTANCE", "run_stage"]


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
    targets: Sequence[int],
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
    pointer, source, position   per sending level, see `EdgeIndex`; or one of each for the whole stage, see
              `StageIndex`, with a backend that works by stage and the whole gradient to candidates
    sizes     S_0 … S_n, nodes of each level
    targets   per sending level, nodes that its edges may reach: all later ones, or all but the last level's
    stride    of the input level's convolution; the others have 1
    norm      "batch": statistics of this batch; "instance": of each map; "fixed": the ones given
    reach, images, factor  which candidates get gradient, see above; images B and factor 1: all of it
    returns   (z_n [S_n, B, H', W'], states of the levels between, mean, biased variance); only the first is
              differentiable; the states are flat; mean and variance are [Σ S_i] ("batch", "fixed") or
              [Σ S_i · B] ("instance", ordered as the backend went through the batch)
    """
    batch, height, width = z.shape[1], -(-z.shape[2] // stride), -(-z.shape[3] // stride)
    index = pointer, source, position
    stage = _stage_pass(
        z,
        weight,
        Parameters(scale, shift, kernel),
        index,
        (sizes, targets),
        stride,
        carry,
        norm,
        eps,
        backend,
    )
    if goes_by_image(stage, z, sizes):
        return ImageStage(stage, z, sizes).forward()
    out = z.new_empty(sizes[-1], batch, height, width)
    states = z.new_empty(sum(sizes[1:-1]) * batch * height * width)
    fixed = None if fixed_mean is None or fixed_variance is None else (fixed_mean, fixed_variance)
    means: list[Tensor] = []
    variances: list[Tensor] = []
    parts = _parts(z, sizes, height * width, norm)
    for part, of_part in zip(parts, _states_of(states, parts, sizes, (height, width)), strict=True):
        out_part = (
            out if len(parts) == 1 else torch.empty_like(out[:, part], memory_format=torch.contiguous_format)
        )
        found = stage.forward(z[:, part].contiguous(), of_part, out_part, fixed)
        if len(parts) > 1:
            out[:, part] = out_part
        if norm != FIXED or not means:
            means += found[0]
            variances += found[1]
    return out, states, torch.cat(means), torch.cat(variances)


def _stage_pass(
    z: Tensor,
    weight: Tensor,
    parameters: Parameters,
    index: tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]],
    levels: tuple[Sequence[int], Sequence[int]],
    stride: int,
    carry: int,
    norm: str,
    eps: float,
    backend: str,
) -> StagePass:
    pixels = -(-z.shape[2] // stride) * -(-z.shape[3] // stride)
    engine, nodes = usable_backend(backend, z.device, z.dtype), node_kernels(z.device, z.dtype)
    return StagePass(
        blocks_of(weight, *index, places_of(*levels, pixels)),
        engine,
        nodes,
        parameters,
        stride,
        carry,
        norm,
        eps,
    )


def _parts(z: Tensor, sizes: Sequence[int], pixels: int, norm: str) -> list[slice]:
    return image_parts(z.shape[1], sum(sizes) * pixels * z.element_size(), norm, z.device)


def _states_of(
    states: Tensor, parts: Sequence[slice], sizes: Sequence[int], side: tuple[int, int]
) -> Iterator[Tensor]:
    """The states [N, b, H', W'] of each part of the batch; each part's are contiguous."""
    offset, nodes = 0, sum(sizes[1:-1])
    for part in parts:
        shape = (nodes, part.stop - part.start, *side)
        count = nodes * shape[1] * side[0] * side[1]
        yield states[offset : offset + count].view(shape)
        offset += count


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
    targets: Sequence[int],
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
    parameters, index = Parameters(scale, shift, kernel), (pointer, source, position)
    stage = _stage_pass(z, weight, parameters, index, (sizes, targets), stride, carry, norm, eps, backend)
    grad_z = torch.empty_like(z, memory_format=torch.contiguous_format)
    gradients = Parameters(torch.zeros_like(scale), torch.zeros_like(shift), torch.zeros_like(kernel))
    grad_weight = torch.empty_like(weight) if wants_weight else weight.new_empty(0)
    reached = images if reach == "candidates" else 0
    edges = EdgeGradient(grad_weight, stage.engine, reached, factor) if wants_weight else None
    parts = _parts(z, sizes, g.shape[2] * g.shape[3], norm)
    if goes_by_image(stage, z, sizes):
        by_image = ImageStage(stage, z, sizes)
        for part in parts:
            by_image.backward(g, part, (states, mean, variance), grad_z, gradients, edges)
        if edges is not None:
            edges.finish()
        return grad_z, grad_weight, gradients.scale, gradients.shift, gradients.kernel
    statistics = _statistics_of(mean, variance, parts, sizes, norm)
    for part, of_part in zip(parts, _states_of(states, parts, sizes, (g.shape[2], g.shape[3])), strict=True):
        whole = len(parts) == 1
        z_part = z[:, part].contiguous()
        grad_part = grad_z if whole else torch.empty_like(z_part)
        of_levels = next(statistics)
        stage.backward(g[:, part].contiguous(), z_part, of_part, of_levels, grad_part, gradients, edges)
        if not whole:
            grad_z[:, part] = grad_part
    if edges is not None:
        edges.finish()
    return grad_z, grad_weight, gradients.scale, gradients.shift, gradients.kernel


def _statistics_of(
    mean: Tensor, variance: Tensor, parts: Sequence[slice], sizes: Sequence[int], norm: str
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Mean and variance of each level, for each part of the batch in turn."""
    if norm != INSTANCE:
        for _ in parts:
            yield list(zip(mean.split(list(sizes[:-1])), variance.split(list(sizes[:-1])), strict=True))
        return
    lengths = [size * (part.stop - part.start) for part in parts for size in sizes[:-1]]
    pairs = list(zip(mean.split(lengths), variance.split(lengths), strict=True))
    levels = len(sizes) - 1
    for number in range(len(parts)):
        yield pairs[number * levels : (number + 1) * levels]


@run_stage.register_fake
def _(z, weight, scale, shift, kernel, fixed_mean, fixed_variance, pointer, source, position, sizes, targets,  # type: ignore[no-untyped-def]
      stride, carry, norm, eps, reach, images, factor, backend):  # fmt: skip
    maps = (z.shape[1], -(-z.shape[2] // stride), -(-z.shape[3] // stride))
    groups = z.shape[1] if norm == INSTANCE else 1
    # Of half floats, statistics are kept in float32.
    statistics = z.new_empty(sum(sizes[:-1]) * groups, dtype=torch.promote_types(z.dtype, torch.float32))
    between = z.new_empty(sum(sizes[1:-1]) * maps[0] * maps[1] * maps[2])
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
    # Once: torch.utils.checkpoint computes them anew for whoever asks.
    saved = ctx.saved_tensors
    levels = (len(saved) - 8) // 3
    rest = [None] * (len(ctx.plan) + 2)
    index = [[None] * levels for _ in range(3)]
    if g is None:
        return (*[None] * 5, *rest[:2], *index, *rest[2:])
    tensors, indices = saved[:8], saved[8:]
    parts = [list(indices[i * levels : (i + 1) * levels]) for i in range(3)]
    wants_weight = ctx.needs_input_grad[1]
    gradients = run_stage_backward(g.contiguous(), *tensors, *parts, *ctx.plan, wants_weight)
    grad_z, grad_weight, *others = gradients
    return (grad_z, grad_weight if wants_weight else None, *others, *rest[:2], *index, *rest[2:])


run_stage.register_autograd(_backward, setup_context=_setup_context)


@register_flop_formula(torch.ops.dnw_graph.stage)
def _forward_flops(  # type: ignore[no-untyped-def]
    z_shape, weight_shape, scale_shape, shift_shape, kernel_shape, mean_shape, variance_shape, pointer_shapes,
    source_shapes, position_shapes, sizes, targets, stride, *args, **kwargs
) -> int:  # fmt: skip
    columns = _sent_pixels(z_shape, stride)
    messages = _messages(args[-1], pointer_shapes, source_shapes, sizes, targets, columns)
    return 2 * (9 * sum(sizes[:-1]) * columns + messages)


@register_flop_formula(torch.ops.dnw_graph.stage_backward)
def _backward_flops(  # type: ignore[no-untyped-def]
    g_shape, z_shape, states_shape, mean_shape, variance_shape, weight_shape, scale_shape, shift_shape,
    kernel_shape, pointer_shapes, source_shapes, position_shapes, sizes, targets, stride, carry, norm, eps,
    reach, images, factor, backend, wants_weight, **kwargs
) -> int:  # fmt: skip
    columns = _sent_pixels(z_shape, stride)
    messages = _messages(backend, pointer_shapes, source_shapes, sizes, targets, columns)
    # The convolution once more, its gradient to the maps and to the kernels.
    macs = 3 * 9 * sum(sizes[:-1]) * columns + messages
    if wants_weight:
        share = columns * (images if reach == "candidates" else 0) // max(1, int(z_shape[1]))
        macs += weight_shape[0] * share
        macs += _messages(backend, pointer_shapes, source_shapes, sizes, targets, columns - share)
    return 2 * macs


def _messages(backend: str, pointers: Any, sources: Any, sizes: Any, targets: Any, columns: int) -> int:
    engine = find_backend(backend)
    if len(sources) < len(targets):
        blocks = list(zip(targets, sizes, strict=False))
        return engine.executed_macs_of_stage(sources[0][0], blocks, columns)
    return sum(
        engine.executed_macs(source[0], pointer[0] - 1, size, columns)
        for pointer, source, size in zip(pointers, sources, sizes, strict=False)
    )


def _sent_pixels(z_shape: Any, stride: int) -> int:
    return int(z_shape[1]) * -(-int(z_shape[2]) // stride) * -(-int(z_shape[3]) // stride)
