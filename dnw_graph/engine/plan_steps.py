"""From a program's live part to the plan that the C engine runs, for one size of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from dnw_graph.engine.plan import Builder
from dnw_graph.engine.plan_limits import lacks
from dnw_graph.native.structures import ABSENT, MESSAGES, NODE, POOL, STEM, Operation
from dnw_graph.native.tables import LINE, Tables, padded
from dnw_graph.program.program import IMAGES, LOGITS, Array, Program, norm_of
from dnw_graph.program.steps import (
    Convolution,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Step,
    Sum,
)

# Bytes of all sources' tiles that stay in a core's second-level cache beside the edges, and the fewest pixels
# for which the edges are worth reading.
_CACHE, _SMALLEST_TILE = 192 * 1024, 32
# Sources and pixels whose tiles stay in the first-level cache; the edges from a block that a target must have
# on average to be worth another visit; pixels up to which a whole map is one tile.
_BLOCK, _BLOCK_TILE, _WORTH_A_BLOCK, _SMALL_MAP = 128, 56, 6, 64
# Bytes of the first stage's maps from which on they run strip by strip.
_LARGE = 1024 * 1024


def plan_of(
    program: Program,
    given: Mapping[str, Array],
    image: tuple[int, int, int],
    *,
    fused_stages: int | None = None,
    strip_rows: int = 2,
    block: int | None = None,
    tile: int | None = None,
) -> Tables:
    """The plan of a split program with folded norms, for images [channels, height, width].

    given         what constant channels send, [channels, 1, h, w] per state that the program starts from;
                  those that are missing are 0
    fused_stages  the stem and so many stages run strip by strip, up to the first node operation of the next;
                  None: 1 if the first stage's maps are too large for a core's cache
    strip_rows    rows of that operation's output that a strip makes
    block         sources whose edges a tile of targets walks before the next ones'; None: as many as stay in
                  the first-level cache, where targets have edges enough
    tile          pixels of a tile of messages; None: by size of maps and number of sources
    Raises ValueError for a program that the engine cannot run, see `lacks`, images of another size than its
    pooling wants, and strips of a stage with instance norms, which need whole maps.
    """
    if (reason := lacks(program)) is not None:
        raise ValueError(f"the engine lacks {reason}")
    planner = _Planner(program, given, Builder(image, block, tile))
    if fused_stages is None:
        fused_stages = int(planner.bytes_of_first_stage() > _LARGE and not planner.norms_maps(1))
    elif fused_stages and planner.norms_maps(fused_stages):
        raise ValueError("instance norms need whole maps, and no stage of strips has them; fuse none")
    return planner.plan(fused_stages, strip_rows)


@dataclass
class _Incoming:
    """What is to be added up to a state: messages by (their step, first row), other maps, constant maps."""

    messages: list[tuple[Messages, int]] = field(default_factory=list)
    maps: Sum | None = None
    base: Array | None = None


class _Planner:
    """Walks over a program's steps; a state that is a sum is made when it is first read."""

    def __init__(self, program: Program, given: Mapping[str, Array], builder: Builder) -> None:
        self.program, self.given, self.builder = program, given, builder
        self.shapes = program.shapes(*builder.image[1:])
        self.incoming: dict[str, _Incoming] = {}
        # State → its buffer and first map there. What one target hears lies in one buffer.
        self.places: dict[str, tuple[int, int]] = {}
        self.heard_with = _heard_together(program)
        self.norm_of_pool: Norm | None = None

    def bytes_of_first_stage(self) -> int:
        """Of the states of the first stage, at their own resolution."""
        operations = [step for step in self.program.steps if isinstance(step, NodeOperation)]
        first = [step for step in self.program.steps if operations and step.part == operations[0].part]
        names = {step.source for step in first if isinstance(step, NodeOperation)}
        names |= {name for step in first if isinstance(step, Messages) for name in step.targets}
        if not names:
            return 0
        _, height, width = self.shapes[operations[0].source]
        return 4 * height * width * sum(self.shapes[name][0] for name in names)

    def norms_maps(self, fused_stages: int) -> bool:
        """Whether some norm measures maps in what runs strip by strip, with so many stages fused."""
        parts: list[str] = []
        for step in self.program.steps:
            if isinstance(step, NodeOperation):
                parts += [step.part] if step.part not in parts else []
                if len(parts) <= fused_stages + 1 and step.spec.norm == "instance":
                    return True
        return False

    def plan(self, fused_stages: int, strip_rows: int) -> Tables:
        builder = self.builder
        if fused_stages:
            builder.fuse()
        parts: list[str] = []
        for step in self.program.steps:
            if isinstance(step, Convolution):
                self._convolution(step)
            elif isinstance(step, NodeOperation):
                starts_stage = step.part not in parts
                parts += [step.part] if starts_stage else []
                self._node_operation(step)
                if starts_stage and len(parts) - 1 == fused_stages:
                    builder.end_fusing(strip_rows)
            elif isinstance(step, Norm):
                self.norm_of_pool = step
            elif isinstance(step, Pool):
                self._pool(step, strip_rows)
            elif isinstance(step, Sum):
                self._add_maps(step)
            elif isinstance(step, Messages):
                first = 0
                for name, size in zip(step.targets, step.sizes, strict=True):
                    self.incoming.setdefault(name, _Incoming()).messages.append((step, first))
                    first += size
        return self._classifier()

    # Places

    def _maps(self, state: str) -> tuple[int, int]:
        """A state's buffer and first map, made if it is a sum that nothing has read yet."""
        if state not in self.places:
            self._sum(state, self.incoming.pop(state, _Incoming()))
        return self.places[state]

    def _new(self, state: str) -> tuple[int, int]:
        """Room for a state; those that are heard together come to lie in one buffer."""
        if state in self.places:
            return self.places[state]
        together = self.heard_with.get(state, [state])
        counts = [self.shapes[name][0] for name in together]
        number = self.builder.new_maps(sum(counts), *self.shapes[state][1:])
        for name, first in zip(together, np.cumsum([0, *counts]), strict=False):
            self.places[name] = number, int(first)
        return self.places[state]

    def _label(self, step: Step, level: int) -> None:
        self.builder.stage, self.builder.level = step.part, level

    # Steps

    def _convolution(self, step: Convolution) -> None:
        self._label(step, 0)
        channels = self.shapes[step.target][0]
        weight = self.program.tensor(step, "weight")
        if step.source == IMAGES:
            out, _ = self._new(step.target)
            constants = {"kernel": self._place(step, "weight"), "bias": self._place(step, "bias")}
            rectify = int(step.activation == "relu")
            self.builder.add(Operation(STEM, 0, 0, out, 0, channels, step.stride, rectify, **constants))
        elif step.depthwise:
            source, first = self._maps(step.source)
            out, _ = self._new(step.target)
            add = self.builder.constants.add_floats
            # What arrives is rectified already, so that a ReLU in between changes nothing.
            self.builder.add(
                Operation(
                    NODE,
                    source,
                    first,
                    out,
                    0,
                    channels,
                    step.stride,
                    scale=add(np.ones(channels)),
                    shift=add(np.zeros(channels)),
                    kernel=self._place(step, "weight"),
                    bias=self._place(step, "bias"),
                )
            )
        else:
            source, _ = self._maps(step.source)
            out, _ = self._new(step.target)
            row, column = np.divmod(np.arange(weight[:, :, 0, 0].size), max(1, weight.shape[1]))
            pointwise = self._messages(source, out, row, column, weight.reshape(-1))
            pointwise.bias = self._place(step, "bias")
            self.builder.add(pointwise, weight.size, weight.shape[1])

    def _node_operation(self, step: NodeOperation) -> None:
        source, first = self._maps(step.source)
        self._label(step, step.level)
        out, first_out = self._new(step.target)
        channels = self.shapes[step.target][0]
        constants = self._norm(step) | {"kernel": self._place(step, "kernel")}
        operation = Operation(NODE, source, first, out, first_out, channels, step.spec.stride, **constants)
        operation.option = int(operation.eps != ABSENT)
        self.builder.add(operation)

    def _norm(self, step: NodeOperation | Norm) -> dict[str, int]:
        """Places of a norm's scale, shift and, of an instance norm, eps."""
        add, (kind, eps) = self.builder.constants.add_floats, norm_of(step)
        scale, shift = self.program.scale_shift(step)
        placed = {"scale": add(scale), "shift": add(shift)}
        return placed | ({"eps": add(np.array([eps]))} if kind == "instance" else {})

    def _add_maps(self, step: Sum) -> None:
        incoming = self.incoming.setdefault(step.target, _Incoming())
        if step.source in self.shapes and step.source not in self.given and step.part != "constants":
            incoming.maps = step
        elif step.source in self.given:
            incoming.base = self.given[step.source]

    def _sum(self, state: str, incoming: _Incoming) -> None:
        """Messages, other and constant maps of a state, as one operation."""
        level, other, parts = 0, incoming.maps, []
        size = self.shapes[state][0]
        for step, first in incoming.messages:
            row, column, weight = (self.program.tensor(step, name) for name in ("row", "column", "weight"))
            mine = slice(*np.searchsorted(row, (first, first + size)))
            _, map_of_source = self.places[step.source]
            parts.append((row[mine] - first, column[mine] + map_of_source, weight[mine]))
            self._label(step, level := step.level + 1 + step.targets.index(state))
        empty = np.empty(0, dtype=np.int64)
        columns = zip(*parts, (empty, empty, np.empty(0, np.float32)), strict=True)
        row, column, weight = (np.concatenate(each) for each in columns)
        if incoming.messages:
            source, _ = self.places[incoming.messages[0][0].source]
        else:
            assert other is not None
            source, _ = self._maps(other.source)
            self._label(other, level)
        out, _ = self._new(state)
        operation = self._messages(source, out, row, column, weight)
        if other is not None:
            added, first = self._maps(other.source)
            added_row = np.full(size, ABSENT)
            added_row[self.program.tensor(other, "row")] = self.program.tensor(other, "column") + first
            operation.added_row, operation.added = self.builder.constants.add_numbers(added_row), added
        self._set_base(operation, incoming.base)
        self.builder.add(operation, weight.size, np.unique(column).size)

    def _messages(self, source: int, target: int, row: Array, column: Array, weight: Array) -> Operation:
        """Edges in any order, from the maps `column` of one buffer to the maps `row` of another."""
        builder = self.builder
        maps, constants = builder.maps[source], builder.constants
        targets = builder.maps[target].count
        sources = int(column.max(initial=0)) + 1
        tile, size = _tile(maps.height * maps.pitch, sources, weight.size / max(1, targets), builder.block)
        tile = builder.tile or tile
        chunk = column // size
        order = np.lexsort((column, row, chunk))
        chunks = int(chunk.max(initial=0)) + 1
        pointer = constants.add_numbers(
            np.searchsorted((chunk * targets + row)[order], np.arange(chunks * targets + 1))
        )
        edges = builder.add_edges(source, column[order], weight[order])
        return Operation(
            MESSAGES, source, 0, target, 0, targets, pointer=pointer, edges=edges, tile=tile, chunks=chunks
        )

    def _set_base(self, messages: Operation, base: Array | None) -> None:
        """What constant channels send to the targets, [T, 1, h, w], laid out like the targets' maps."""
        if base is None or not base.size:
            return
        builder, values = self.builder, base[:, 0]
        maps = builder.maps[messages.target]
        reached = values.any(axis=(1, 2))
        laid_out = np.zeros((int(reached.sum()), maps.height, maps.pitch), dtype=np.float32)
        laid_out[:, :, : maps.width] = values[reached]
        rows = np.where(reached, np.cumsum(reached) - 1, ABSENT)
        messages.base, messages.base_stride = builder.constants.add_floats(laid_out), maps.height * maps.pitch
        messages.base_row = builder.constants.add_numbers(rows)

    def _pool(self, step: Pool, strip_rows: int) -> None:
        norm = self.norm_of_pool
        source, first = self._maps(step.source if norm is None else norm.source)
        # What a fused group keeps to its threads must not be read after it.
        self.builder.end_fusing(strip_rows)
        self._label(step, 0)
        constants = {} if norm is None else self._norm(norm)
        channels = self.shapes[step.source][0]
        pool = Operation(
            POOL, source, first, 0, 0, channels, option=int(step.window is not None), **constants
        )
        if step.window is not None:
            step.check(step.window, *self.shapes[step.source][1:])
        self.builder.add(pool)

    def _classifier(self) -> Tables:
        """The last step, on the pooled vector."""
        (pooled,) = [step.target for step in self.program.steps if isinstance(step, Pool)]
        channels, classes = self.shapes[pooled][0], self.shapes[LOGITS][0]
        length, constants = padded(max(channels, 1), LINE), self.builder.constants
        logits: Array = np.zeros(classes, dtype=np.float32)
        incoming = self.incoming.get(LOGITS, _Incoming())
        if incoming.base is not None:
            logits = logits + incoming.base.reshape(-1)
        if incoming.messages:
            ((step, _),) = incoming.messages
            row, column, weight = (self.program.tensor(step, name) for name in ("row", "column", "weight"))
            pointer = constants.add_numbers(np.searchsorted(row, np.arange(classes + 1)))
            edges = self.builder.add_edges(None, column, weight)
            bias = constants.add_floats(logits)
            return self.builder.finish(
                length,
                classes,
                classifier=ABSENT,
                classifier_bias=bias,
                class_pointer=pointer,
                class_edges=edges,
            )
        (linear,) = [step for step in self.program.steps if isinstance(step, Linear)]
        own = self.program.optional(linear, "bias")
        dense = np.zeros((classes, length), dtype=np.float32)
        dense[:, :channels] = self.program.tensor(linear, "weight")
        return self.builder.finish(
            length,
            classes,
            classifier=constants.add_floats(dense),
            classifier_bias=constants.add_floats(logits if own is None else logits + own),
            class_pointer=0,
            class_edges=channels,
        )

    def _place(self, step: Step, name: str) -> int:
        values = self.program.optional(step, name)
        return ABSENT if values is None else self.builder.constants.add_floats(values)


def _heard_together(program: Program) -> dict[str, list[str]]:
    """State that sends → all that send to the same targets, in the order in which they are made."""
    groups: dict[str, list[str]] = {}
    of_target: dict[str, list[str]] = {}
    for step in program.steps:
        if not isinstance(step, Messages) or step.targets == (LOGITS,):
            continue
        group = groups.setdefault(step.source, [step.source])
        for name in step.targets:
            other = of_target.setdefault(name, group)
            if other is not group:
                other.extend(each for each in group if each not in other)
                for each in group:
                    groups[each] = other
                group = other
        for name in step.targets:
            of_target[name] = group
    return groups


def _tile(pixels: int, sources: int, edges_per_target: float, block: int | None) -> tuple[int, int]:
    """Pixels of a tile of messages, and sources of a block, for maps of so many pixels."""
    tile = max(_SMALLEST_TILE, _CACHE // (4 * max(1, sources)))
    if block is not None:
        return (_BLOCK_TILE if block < sources else tile), block
    if tile < _BLOCK_TILE and edges_per_target * _BLOCK >= _WORTH_A_BLOCK * sources:
        return _BLOCK_TILE, _BLOCK
    return max(tile, pixels if pixels <= _SMALL_MAP else 0), max(1, sources)
