"""A whole stage as one torch operator: node operations and message passing, level by level.

For the levels 0 … n of a stage, with z_0 given, turn by turn as in `dnw_graph.graph.schedule`:

    h_i = node operation of z_i                                   (i < n)
    z_j = Σ_{i<j} Σ_{(u,v) selected} w_uv · h_u                    (j > 0)
    z_n = z_n + the last `start` nodes of z_{n-1}

States are summed in place, activations are computed anew for the gradients, and the gradient to the candidate
edges is written straight into one flat tensor. With g = ∂L/∂z and a share of the batch's images,

    ∂L/∂w_uv = Σ_{b,y,x} g_v h_u            for selected edges, over all images
             = factor · Σ_{b<images,y,x} g_v h_u   for the other candidates (reach "candidates")

It is what `message_passing` and `NodeOperation` say one by one.

Source: Wortsman, Farhadi, Rastegari 2019, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.schedule import Schedule
from dnw_graph.message_passing import native_stage
from dnw_graph.message_passing.backend import find_backend, usable_backend
from dnw_graph.message_passing.edge_gradient import EdgeGradient
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.message_passing.native_stage import ImageStage
from dnw_graph.message_passing.stage_pass import NodeParameters, StagePass, image_parts, sendings
from dnw_graph.message_passing.stage_spec import SCHEMA, StageSpec
from dnw_graph.node_operation import node_kernels


class Way(NamedTuple):
    """A way to run a whole stage at once.  refusal: why not for maps [S_0, B, H, W], or None."""

    name: str
    refusal: Callable[[StageSpec, Sequence[int]], str | None]
    run: Callable[[StagePass, Tensor], ImageStage]


# Besides level by level, which any backend does; the fastest first.
WAYS = (Way("image by image", native_stage.refusal, ImageStage),)

_GIVEN = "Tensor weight, Tensor scale, Tensor shift, Tensor kernel"
_INDICES = "Tensor[] pointer, Tensor[] source, Tensor[] position"


def refusal(node: NodeSpec) -> str | None:
    """Why a stage of such node operations cannot run as one operator; None if it can."""
    if node.norm not in ("batch", "instance"):
        return f"norm {node.norm}: a stage runs as a whole with norm batch or instance"
    return None


def reasons(spec: StageSpec, maps: Sequence[int]) -> dict[str, str | None]:
    """Why each way to run a stage of maps [S_0, B, H, W] is passed over; the first None is taken."""
    return {way.name: way.refusal(spec, maps) for way in WAYS} | {"level by level": None}


def _way(of_step: StagePass, z: Tensor) -> ImageStage | None:
    for way in WAYS:
        if way.refusal(of_step.spec, z.shape) is None:
            return way.run(of_step, z)
    return None


def run_stage(
    z: Tensor,
    weight: Tensor,
    parameters: NodeParameters,
    indices: Sequence[EdgeIndex],
    spec: StageSpec,
    statistics: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """States of a stage's input level → those of its last level.

    z           [S_0, B, H, W] float, contiguous, not empty
    weight      [candidates], same dtype: what messages are multiplied by, one block per sending level
    parameters  of the node operations of all sending levels
    indices     of each block; or one of the whole stage, where the backend takes slices and
                `spec.takes_whole_index`
    statistics  mean and variance [Σ S_i] where `spec.fixed`
    returns     (z_n [S_n, B, H', W'], states of the levels between, mean, biased variance); only the first is
                differentiable; the states are flat; mean and variance are [Σ S_i] (norm "batch") or
                [Σ S_i · B] (norm "instance", in the order in which the batch was gone through)
    Raises ValueError if operands do not fit each other, InputError if the backend cannot be used.
    """
    mean, variance = (None, None) if statistics is None else statistics
    return stage(
        *(z, weight, parameters.scale, parameters.shift, parameters.kernel, mean, variance),
        [index.pointer for index in indices],
        [index.source for index in indices],
        [index.position for index in indices],
        *spec.flat(),
    )


@torch.library.custom_op(
    "dnw_graph::stage",
    mutates_args=(),
    schema=f"(Tensor z, {_GIVEN}, Tensor? mean, Tensor? variance, {_INDICES}, {SCHEMA}) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
)
def stage(
    z: Tensor,
    weight: Tensor,
    scale: Tensor,
    shift: Tensor,
    kernel: Tensor,
    given_mean: Tensor | None,
    given_variance: Tensor | None,
    pointer: Sequence[Tensor],
    source: Sequence[Tensor],
    position: Sequence[Tensor],
    *flat: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`run_stage` as torch knows it; flat: `StageSpec.flat`."""
    spec = StageSpec.of(flat)
    of_step = _stage_pass(z, weight, NodeParameters(scale, shift, kernel), (pointer, source, position), spec)
    at_once = _way(of_step, z)
    if at_once is not None:
        return at_once.forward()
    sizes, (height, width) = spec.schedule.sizes, _sides(z.shape, spec)
    out = z.new_empty(sizes[-1], z.shape[1], height, width)
    states = z.new_empty(sum(sizes[1:-1]) * z.shape[1] * height * width)
    fixed = None if given_mean is None or given_variance is None else (given_mean, given_variance)
    means: list[Tensor] = []
    variances: list[Tensor] = []
    parts = _parts(z, spec, height * width)
    for part, of_part in zip(parts, _states_of(states, parts, sizes, (height, width)), strict=True):
        out_part = (
            out if len(parts) == 1 else torch.empty_like(out[:, part], memory_format=torch.contiguous_format)
        )
        found = of_step.forward(z[:, part].contiguous(), of_part, out_part, fixed)
        if len(parts) > 1:
            out[:, part] = out_part
        if not spec.fixed or not means:
            means += found[0]
            variances += found[1]
    return out, states, torch.cat(means), torch.cat(variances)


def _stage_pass(
    z: Tensor,
    weight: Tensor,
    parameters: NodeParameters,
    index: tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]],
    spec: StageSpec,
) -> StagePass:
    wrong = refusal(spec.node)
    if wrong is not None:
        raise ValueError(wrong)
    backend = usable_backend(spec.backend, z.device, z.dtype)
    found = sendings(weight, _indices(index, spec.schedule), spec)
    return StagePass(spec, found, backend, node_kernels(z.device, z.dtype, spec.node), parameters)


def _indices(
    index: tuple[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], schedule: Schedule
) -> list[EdgeIndex]:
    """The records that `run_stage` took apart."""
    blocks = tuple((turn.targets, turn.size) for turn in schedule.turns)
    parts = [(block,) for block in blocks] if len(index[0]) == len(blocks) else [blocks]
    return [
        EdgeIndex(pointer, source, position, part)
        for pointer, source, position, part in zip(*index, parts, strict=True)
    ]


def _sides(maps: Any, spec: StageSpec) -> tuple[int, int]:
    """Height and width of all maps but those of the input level, [S_0, B, H, W]."""
    return -(-maps[2] // spec.node.stride), -(-maps[3] // spec.node.stride)


def _parts(z: Tensor, spec: StageSpec, pixels: int) -> list[slice]:
    return image_parts(z.shape[1], sum(spec.schedule.sizes) * pixels * z.element_size(), spec, z.device)


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


@torch.library.custom_op(
    "dnw_graph::stage_backward",
    mutates_args=(),
    schema=f"(Tensor g, Tensor z, Tensor states, Tensor mean, Tensor variance, {_GIVEN}, {_INDICES}, "
    f"bool wants_weight, {SCHEMA}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def stage_backward(
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
    wants_weight: bool,
    *flat: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `stage` for g = ∂L/∂z_n: to z, weight, scale, shift, kernel."""
    spec = StageSpec.of(flat)
    of_step = _stage_pass(z, weight, NodeParameters(scale, shift, kernel), (pointer, source, position), spec)
    grad_z = torch.empty_like(z, memory_format=torch.contiguous_format)
    gradients = NodeParameters(torch.zeros_like(scale), torch.zeros_like(shift), torch.zeros_like(kernel))
    grad_weight = torch.empty_like(weight) if wants_weight else weight.new_empty(0)
    reached, pixels = spec.images if spec.reach == "candidates" else 0, g.shape[2] * g.shape[3]
    edges = EdgeGradient(grad_weight, of_step.backend, pixels, reached, spec.factor) if wants_weight else None
    parts = _parts(z, spec, pixels)
    at_once = _way(of_step, z)
    if at_once is not None:
        for part in parts:
            at_once.backward(g, part, (states, mean, variance), grad_z, gradients, edges)
        if edges is not None:
            edges.finish()
        return grad_z, grad_weight, gradients.scale, gradients.shift, gradients.kernel
    sizes = spec.schedule.sizes
    statistics = _statistics_of(mean, variance, parts, spec)
    for part, of_part in zip(parts, _states_of(states, parts, sizes, (g.shape[2], g.shape[3])), strict=True):
        whole = len(parts) == 1
        z_part = z[:, part].contiguous()
        grad_part = grad_z if whole else torch.empty_like(z_part)
        of_levels = next(statistics)
        of_step.backward(g[:, part].contiguous(), z_part, of_part, of_levels, grad_part, gradients, edges)
        if not whole:
            grad_z[:, part] = grad_part
    if edges is not None:
        edges.finish()
    return grad_z, grad_weight, gradients.scale, gradients.shift, gradients.kernel


def _statistics_of(
    mean: Tensor, variance: Tensor, parts: Sequence[slice], spec: StageSpec
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Mean and variance of each level, for each part of the batch in turn."""
    sizes = list(spec.schedule.sizes[:-1])
    if spec.node.norm != "instance":
        for _ in parts:
            yield list(zip(mean.split(sizes), variance.split(sizes), strict=True))
        return
    lengths = [size * (part.stop - part.start) for part in parts for size in sizes]
    pairs = list(zip(mean.split(lengths), variance.split(lengths), strict=True))
    levels = len(sizes)
    for number in range(len(parts)):
        yield pairs[number * levels : (number + 1) * levels]


@stage.register_fake
def _(z, weight, scale, shift, kernel, mean, variance, pointer, source, position, *flat):  # type: ignore[no-untyped-def]
    spec = StageSpec.of(flat)
    sizes, maps = spec.schedule.sizes, (z.shape[1], *_sides(z.shape, spec))
    groups = z.shape[1] if spec.node.norm == "instance" else 1
    # Statistics of half floats are float32.
    statistics = z.new_empty(sum(sizes[:-1]) * groups, dtype=torch.promote_types(z.dtype, torch.float32))
    between = z.new_empty(sum(sizes[1:-1]) * maps[0] * maps[1] * maps[2])
    return z.new_empty(sizes[-1], *maps), between, statistics, torch.empty_like(statistics)


@stage_backward.register_fake
def _(g, z, states, mean, variance, weight, scale, shift, kernel, pointer, source, position,  # type: ignore[no-untyped-def]
      wants_weight, *flat):  # fmt: skip
    wanted = weight if wants_weight else weight.new_empty(0)
    return tuple(torch.empty_like(tensor) for tensor in (z, wanted, scale, shift, kernel))


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    z, weight, scale, shift, kernel, _, _, pointer, source, position, *flat = inputs
    _, states, mean, variance = output
    ctx.mark_non_differentiable(states, mean, variance)
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(
        z, states, mean, variance, weight, scale, shift, kernel, *pointer, *source, *position
    )
    ctx.flat = flat


def _backward(ctx: Any, g: Tensor | None, *unused: Tensor | None) -> tuple[Any, ...]:
    # Once: torch.utils.checkpoint computes them anew for whoever asks.
    saved = ctx.saved_tensors
    blocks = (len(saved) - 8) // 3
    rest = [None, None, *([None] * blocks for _ in range(3)), *[None] * len(ctx.flat)]
    if g is None:
        return (*[None] * 5, *rest)
    tensors, indices = saved[:8], saved[8:]
    parts = [list(indices[i * blocks : (i + 1) * blocks]) for i in range(3)]
    wants_weight = ctx.needs_input_grad[1]
    gradients = stage_backward(g.contiguous(), *tensors, *parts, wants_weight, *ctx.flat)
    grad_z, grad_weight, *others = gradients
    return (grad_z, grad_weight if wants_weight else None, *others, *rest)


stage.register_autograd(_backward, setup_context=_setup_context)


@register_flop_formula(torch.ops.dnw_graph.stage)
def _forward_flops(  # type: ignore[no-untyped-def]
    z_shape, weight_shape, scale_shape, shift_shape, kernel_shape, mean_shape, variance_shape, pointer_shapes,
    source_shapes, position_shapes, *flat, **kwargs
) -> int:  # fmt: skip
    spec = StageSpec.of(flat)
    columns = _sent_pixels(z_shape, spec)
    return 2 * (_convolution(kernel_shape, columns) + _messages(spec, source_shapes, columns))


@register_flop_formula(torch.ops.dnw_graph.stage_backward)
def _backward_flops(  # type: ignore[no-untyped-def]
    g_shape, z_shape, states_shape, mean_shape, variance_shape, weight_shape, scale_shape, shift_shape,
    kernel_shape, pointer_shapes, source_shapes, position_shapes, wants_weight, *flat, **kwargs
) -> int:  # fmt: skip
    spec = StageSpec.of(flat)
    columns = _sent_pixels(z_shape, spec)
    # The convolution once more, its gradient to the maps and to the kernels.
    macs = 3 * _convolution(kernel_shape, columns) + _messages(spec, source_shapes, columns)
    if wants_weight:
        share = columns * (spec.images if spec.reach == "candidates" else 0) // max(1, int(z_shape[1]))
        macs += weight_shape[0] * share
        macs += _messages(spec, source_shapes, columns - share)
    return 2 * macs


def _convolution(kernel_shape: Any, columns: int) -> int:
    return int(kernel_shape[0]) * int(kernel_shape[2]) * int(kernel_shape[3]) * columns


def _messages(spec: StageSpec, sources: Any, columns: int) -> int:
    backend = find_backend(spec.backend)
    blocks = [(turn.targets, turn.size) for turn in spec.schedule.turns]
    if len(sources) < len(blocks):
        return backend.executed_macs(sources[0][0], blocks, columns)
    return sum(
        backend.executed_macs(source[0], [block], columns)
        for source, block in zip(sources, blocks, strict=True)
    )


def _sent_pixels(z_shape: Any, spec: StageSpec) -> int:
    height, width = _sides(z_shape, spec)
    return int(z_shape[1]) * int(height) * int(width)
