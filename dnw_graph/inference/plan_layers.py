"""From a compiled network's layers to the plan that the C engine runs, for one size of images."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn

from dnw_graph.inference.body import CompiledStage
from dnw_graph.inference.head import ClassifyingHead, PooledHead, WiredHead
from dnw_graph.inference.layers import Affine, Convolution, Messages, NodeStep
from dnw_graph.inference.plan import Builder
from dnw_graph.inference.stem import CompiledTinyStem
from dnw_graph.message_passing.edge_index import rows_of
from dnw_graph.models.node_operation import InstanceNorm
from dnw_graph.native.structures import ABSENT, MESSAGES, NODE, POOL, STEM, Operation
from dnw_graph.native.tables import LINE, Tables, padded

# Bytes of all sources' tiles that stay in a core's second-level cache beside the edges, and the fewest pixels
# for which the edges are worth reading.
_CACHE, _SMALLEST_TILE = 192 * 1024, 32
# Sources and pixels whose tiles stay in the first-level cache; the edges from a block that a target must have
# on average to be worth another visit; pixels up to which a whole map is one tile.
_BLOCK, _BLOCK_TILE, _WORTH_A_BLOCK, _SMALL_MAP = 128, 56, 6, 64
# Bytes of the first stage's maps from which on they run strip by strip.
_LARGE = 1024 * 1024


def plan_of(
    image: tuple[int, int, int],
    stem: nn.Module,
    stages: list[CompiledStage],
    bases: list[tuple[Tensor | None, Tensor | None]],
    head: nn.Module,
    logits: Tensor,
    *,
    fused_stages: int | None = None,
    strip_rows: int = 2,
    block: int | None = None,
    tile: int | None = None,
) -> Tables:
    """The plan of a compiled network for images [channels, height, width].

    bases, logits  what constant nodes add, as in `CompiledNetwork`
    fused_stages   the stem and so many stages run strip by strip, up to the first node operation of the next;
                   None: 1 if the first stage's maps are too large for a core's cache
    strip_rows     rows of that operation's output that a strip makes
    block          sources whose edges a tile of targets walks before the next ones'; None: as many as stay in
                   the first-level cache, where targets have edges enough
    tile           pixels of a tile of messages; None: by size of maps and number of sources
    """
    builder = Builder(image, block, tile)
    if fused_stages is None:
        height, width = stem.sides(*image[1:])  # type: ignore[operator]
        fused_stages = int(4 * height * width * sum(stages[0].sizes) > _LARGE)
    if fused_stages:
        builder.fuse()
    z = _add_stem(builder, stem)
    for number, (stage, base) in enumerate(zip(stages, bases, strict=True)):
        builder.stage = f"stage_{number}"
        z = _add_stage(builder, stage, z, *base, end_fusing=strip_rows if number == fused_stages else None)
    builder.end_fusing(strip_rows)
    builder.stage, builder.level = "head", 0
    return _add_head(builder, head, z, logits)


def _add_stem(builder: Builder, stem: nn.Module) -> int:
    """Returns the buffer of the stem's maps."""
    if isinstance(stem, Convolution):
        return _add_convolution(builder, stem, rectify=False)
    assert isinstance(stem, CompiledTinyStem)
    weight = _array(stem.pointwise.weight.flatten(1))
    if not weight.size:
        return builder.new_maps(0, *stem.sides(*builder.image[1:]))
    hidden = _add_convolution(builder, stem.conv, rectify=True)
    channels, step = stem.depthwise.weight.shape[0], stem.depthwise.stride[0]
    narrow = builder.new_maps(channels, *_sides_after(builder, hidden, step))
    out = builder.new_maps(weight.shape[0], *_sides_after(builder, narrow, 1))
    add_floats = builder.constants.add_floats
    builder.add(
        Operation(
            NODE,
            hidden,
            0,
            narrow,
            0,
            channels,
            step,
            # What arrives is rectified already, so that a ReLU in between changes nothing.
            scale=add_floats(np.ones(channels)),
            shift=add_floats(np.zeros(channels)),
            kernel=add_floats(_array(stem.depthwise.weight)),
            bias=_place(builder, stem.depthwise.bias),
        )
    )
    row, column = np.divmod(np.arange(weight.size), weight.shape[1])
    pointwise = _messages(builder, narrow, out, row, column, weight.reshape(-1))
    pointwise.bias = _place(builder, stem.pointwise.bias)
    builder.add(pointwise, weight.size, weight.shape[1])
    return out


def _add_convolution(builder: Builder, layer: Convolution, *, rectify: bool) -> int:
    _, height, width = builder.image
    step, channels = layer.stride[0], layer.weight.shape[0]
    out = builder.new_maps(channels, -(-height // step), -(-width // step))
    weight, bias = _place(builder, layer.weight), _place(builder, layer.bias)
    builder.add(Operation(STEM, 0, 0, out, 0, channels, step, int(rectify), kernel=weight, bias=bias))
    return out


def _add_stage(
    builder: Builder,
    stage: CompiledStage,
    z: int,
    base: Tensor | None,
    readout_base: Tensor | None,
    end_fusing: int | None,
) -> int:
    """Returns the buffer of the stage's last states, given that of its first."""
    steps = [step for step in stage.steps if isinstance(step, NodeStep)]
    offsets = np.cumsum([0, *stage.sizes])
    h = builder.new_maps(int(offsets[len(steps)]), *_sides_after(builder, z, steps[0].stride))
    row, column, weight = _incoming(stage, offsets)
    for level, step in enumerate(steps):
        builder.level = level
        _add_node_step(builder, step, z, h, int(offsets[level]))
        if not level and end_fusing is not None:
            builder.end_fusing(end_fusing)
        first, end = offsets[level + 1 : level + 3]
        here = (row >= first) & (row < end)
        builder.level = level + 1
        out = builder.new_maps(int(end - first), *_sides_after(builder, h, 1))
        messages = _messages(builder, h, out, row[here] - first, column[here], weight[here])
        if stage.carries and level == len(steps) - 1:
            twins = np.full(end - first, ABSENT)
            twins[_array(stage.readout)] = _array(stage.twin)
            messages.added_row, messages.added = builder.constants.add_numbers(twins), z
            _set_base(builder, messages, readout_base)
        elif base is not None:
            _set_base(builder, messages, base[first - offsets[1] : end - offsets[1]])
        builder.add(messages, int(here.sum()), np.unique(column[here]).size)
        z = out
    return z


def _add_node_step(builder: Builder, step: NodeStep, z: int, h: int, first_map: int) -> None:
    scale: Tensor
    shift: Tensor
    eps = ABSENT
    if isinstance(step.norm, InstanceNorm):
        scale, shift = step.norm.weight, step.norm.bias
        eps = builder.constants.add_floats(np.array([step.norm.eps]))
    else:
        assert isinstance(step.norm, Affine)
        scale, shift = step.norm.scale, step.norm.shift
    builder.add(
        Operation(
            NODE,
            z,
            0,
            h,
            first_map,
            step.kernel.shape[0],
            step.stride,
            int(eps != ABSENT),
            scale=_place(builder, scale),
            shift=_place(builder, shift),
            kernel=_place(builder, step.kernel),
            eps=eps,
        )
    )


def _incoming(stage: CompiledStage, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Target, source (both numbered through the stage's live nodes) and weight of every edge."""
    parts = []
    for level, messages in enumerate(stage.messages):
        assert isinstance(messages, Messages)
        target = _array(rows_of(messages.pointer, messages.source.numel())) + offsets[level + 1]
        parts.append((target, _array(messages.source) + offsets[level], _array(messages.value)))
    target, source, weight = (np.concatenate(column) for column in zip(*parts, strict=True))
    return target, source, weight


def _messages(
    builder: Builder, source: int, target: int, row: np.ndarray, column: np.ndarray, weight: np.ndarray
) -> Operation:
    """Edges in any order, from the maps `column` of one buffer to the maps `row` of another."""
    maps, constants = builder.maps[source], builder.constants
    targets = builder.maps[target].count
    sources = int(column.max(initial=0)) + 1
    tile, size = _tile(maps.height * maps.pitch, sources, weight.size / max(1, targets), builder.block)
    tile = builder.tile or tile
    block = column // size
    order = np.lexsort((column, row, block))
    blocks = int(block.max(initial=0)) + 1
    pointer = constants.add_numbers(
        np.searchsorted((block * targets + row)[order], np.arange(blocks * targets + 1))
    )
    edges = builder.add_edges(source, column[order], weight[order])
    return Operation(
        MESSAGES, source, 0, target, 0, targets, pointer=pointer, edges=edges, tile=tile, chunks=blocks
    )


def _tile(pixels: int, sources: int, edges_per_target: float, block: int | None) -> tuple[int, int]:
    """Pixels of a tile of messages, and sources of a block, for maps of so many pixels."""
    tile = max(_SMALLEST_TILE, _CACHE // (4 * max(1, sources)))
    if block is not None:
        return (_BLOCK_TILE if block < sources else tile), block
    if tile < _BLOCK_TILE and edges_per_target * _BLOCK >= _WORTH_A_BLOCK * sources:
        return _BLOCK_TILE, _BLOCK
    return max(tile, pixels if pixels <= _SMALL_MAP else 0), max(1, sources)


def _set_base(builder: Builder, messages: Operation, base: Tensor | None) -> None:
    """What constant nodes send to the targets, [T, 1, h, w], laid out like the targets' maps."""
    if base is None or not base.numel():
        return
    values, maps = _array(base)[:, 0], builder.maps[messages.target]
    reached = values.any(axis=(1, 2))
    laid_out = np.zeros((int(reached.sum()), maps.height, maps.pitch), dtype=np.float32)
    laid_out[:, :, : maps.width] = values[reached]
    rows = np.where(reached, np.cumsum(reached) - 1, ABSENT)
    messages.base, messages.base_stride = builder.constants.add_floats(laid_out), maps.height * maps.pitch
    messages.base_row = builder.constants.add_numbers(rows)


def _add_head(builder: Builder, head: nn.Module, z: int, logits: Tensor) -> Tables:
    """`logits`: what every image gets before its live channels add to it, [classes]."""
    channels, classes = builder.maps[z].count, logits.numel()
    pool = Operation(POOL, z, 0, 0, 0, channels)
    if isinstance(head, (PooledHead, WiredHead)):
        pool.scale, pool.shift = _place(builder, head.norm.scale), _place(builder, head.norm.shift)
    else:
        pool.option = 1
    builder.add(pool)
    length = padded(max(channels, 1), LINE)
    constants = builder.constants
    bias = constants.add_floats(_array(logits))
    if isinstance(head, WiredHead):
        pointer = constants.add_numbers(_array(head.messages.pointer))
        edges = builder.add_edges(None, _array(head.messages.source), _array(head.messages.value))
        return builder.finish(
            length,
            classes,
            classifier=ABSENT,
            classifier_bias=bias,
            class_pointer=pointer,
            class_edges=edges,
        )
    assert isinstance(head, ClassifyingHead)
    weight = np.zeros((classes, length), dtype=np.float32)
    weight[:, :channels] = _array(head.linear.weight)
    return builder.finish(
        length,
        classes,
        classifier=constants.add_floats(weight),
        classifier_bias=bias,
        class_pointer=0,
        class_edges=channels,
    )


def _sides_after(builder: Builder, number: int, step: int) -> tuple[int, int]:
    """Height and width of a buffer's maps after a convolution with this step."""
    maps = builder.maps[number]
    return -(-maps.height // step), -(-maps.width // step)


def _place(builder: Builder, tensor: Tensor | None) -> int:
    return ABSENT if tensor is None else builder.constants.add_floats(_array(tensor))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()
