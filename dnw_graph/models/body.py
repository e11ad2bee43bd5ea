"""The wired body: node operations and message passing, stage by stage."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import numpy as np
from torch import Tensor, nn

from dnw_graph.graph.layout import Ints, Layout
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.status import Flags
from dnw_graph.message_passing import EdgeIndex
from dnw_graph.message_passing.stage_operator import reasons
from dnw_graph.models.arrays import array, norm_arrays
from dnw_graph.models.node_operation import NodeOperation
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.whole_stage import keeps_apart, refusal, run_as_one, spec_of
from dnw_graph.program.body import stage_steps, sums_of_stage
from dnw_graph.program.by_torch import States, run
from dnw_graph.program.part import Part
from dnw_graph.program.program import Array
from dnw_graph.program.steps import Step

MODULE_BY_MODULE = "module by module"


class Body(nn.Module):
    """States of the stem's channels → states that the head reads; both node-major.

    layout         its levels and stages
    spec           the node operation of its nodes, for stride 1
    operations[l]  the node operation of sending level l
    stages[s]      candidate weights and wiring of stage s
    input, output  names of the states that it reads and makes, in a program
    """

    layout: Layout
    spec: NodeSpec
    operations: nn.ModuleList
    stages: nn.ModuleList
    input: str
    output: str

    def reads(self) -> Flags | None:
        """Which nodes of the last level the head gets, [nodes] bool; None: all of them."""
        return None

    @abstractmethod
    def lowered(self) -> Part:
        """Its part of a program."""

    @abstractmethod
    def training_paths(self, side: int, batch: int) -> dict[str, dict[str, str | None]]:
        """Per stage, the ways to train it and why each is passed over; the first None is taken.

        side   of the stem's maps, in pixels;  batch  images in a step
        """


class WiredBody(Body):
    """States of the stem's channels → states of the last level: images go through the levels once."""

    def __init__(self, layout: Layout, stages: list[WiredStage], spec: NodeSpec) -> None:
        super().__init__()
        self.layout, self.spec = layout, spec
        self.operations = nn.ModuleList(
            NodeOperation(level.size, replace(spec, stride=level.stride))
            for level in layout.levels
            if level.sends
        )
        self.stages = nn.ModuleList(stages)
        self.input, self.output = "z0", f"z{layout.levels[-1].index}"
        # Here, so that torch.compile meets them as they are.
        self._steps = [self.steps(stage) for stage in stages]
        self._sums = [
            {name: _adder(column, row) for name, (column, row) in sums_of_stage(stage.stage).items()}
            for stage in stages
        ]

    def node_operations(self, wired: WiredStage) -> list[NodeOperation]:
        """The operations of a stage's sending levels."""
        found = [self.operations[level.index] for level in wired.stage.levels[:-1]]
        return [operation for operation in found if isinstance(operation, NodeOperation)]

    def steps(self, wired: WiredStage) -> tuple[Step, ...]:
        """What a stage computes."""
        return stage_steps(wired.stage, [operation.spec for operation in self.node_operations(wired)])

    def forward(self, z: Tensor) -> Tensor:
        """[C0, B, h, w] contiguous → [C_last, B, h', w']."""
        for stage in self.stages:
            z = self._run(stage, z)  # type: ignore[arg-type]
        return z

    def _run(self, wired: WiredStage, z: Tensor) -> Tensor:
        operations = self.node_operations(wired)
        if refusal(wired, operations, z) is None:
            return run_as_one(wired, operations, z)
        return self.run_level_by_level(wired, z)

    def run_level_by_level(self, wired: WiredStage, z: Tensor) -> Tensor:
        """A stage as torch's autograd runs it: one module and one message passing at a time."""
        first, last = (f"z{wired.stage.levels[place].index}" for place in (0, -1))
        steps = self._steps[wired.stage.index]
        return run(steps, States({first: z}), self.layers(wired), [last])[last]

    def layers(self, wired: WiredStage) -> Mapping[str, Callable[..., Tensor]]:
        """What the steps of a stage do to features, by step name."""
        levels = [level.index for level in wired.stage.levels[:-1]]
        modules = {f"level_{level}": self.operations[level] for level in levels}
        return {**modules, **stage_layers(wired), **self._sums[wired.stage.index]}

    def training_paths(self, side: int, batch: int) -> dict[str, dict[str, str | None]]:
        found: dict[str, dict[str, str | None]] = {}
        sides = self.layout.resolutions(side)
        for wired in self.stages:
            assert isinstance(wired, WiredStage)
            operations, first = self.node_operations(wired), wired.stage.levels[0]
            apart, dtype = keeps_apart(operations), wired.weight.dtype
            if apart is None:
                spec = spec_of(wired, operations, batch, dtype)
                ways = reasons(spec, (first.size, batch, sides[first.index], sides[first.index]))
            else:
                ways = {"as one operator": apart}
            found[wired.name] = {**ways, MODULE_BY_MODULE: None}
        return found

    def lowered(self) -> Part:
        """Its part of a program."""
        layout = self.layout
        channels = {f"z{level.index}": level.size for level in layout.levels}
        channels |= {f"h{level.index}": level.size for level in layout.levels if level.sends}
        part = Part((), channels)
        for wired in self.stages:
            assert isinstance(wired, WiredStage)
            steps = self.steps(wired)
            tensors = stage_arrays(wired)
            for level in wired.stage.levels[:-1]:
                tensors |= operation_arrays(f"level_{level.index}", self.operations[level.index])
            part += Part(steps, {}, tensors)
        return part


def stage_layers(wired: WiredStage) -> dict[str, Callable[..., Tensor]]:
    """Message passing of a stage, by step name."""
    part = f"stage_{wired.stage.index}"
    pairs = zip(wired.indices(), wired.block_weights(), strict=True)
    return {f"{part}.{place}": _sender(wired, index, weight) for place, (index, weight) in enumerate(pairs)}


def _sender(wired: WiredStage, index: EdgeIndex, weight: Tensor) -> Callable[..., Tensor]:
    return lambda h, base: wired.send(index, weight, h.contiguous(), base)


def _adder(column: Ints, row: Ints) -> Callable[..., Tensor]:
    """Of a `Sum` that adds maps which lie together to all of its target's, in their order."""
    first, end = int(column[0]), int(column[-1]) + 1
    assert end - first == len(row)
    return partial(_added, first, end)


def _added(first: int, end: int, z: Tensor, so_far: Tensor | None) -> Tensor:
    return z[first:end] if so_far is None else so_far + z[first:end]


def stage_arrays(wired: WiredStage) -> dict[str, Array]:
    """Edges of a stage's steps."""
    stage = wired.stage
    part, ids = f"stage_{stage.index}", array(wired.ids)
    weight = array(wired.effective()[wired.ids])
    found: dict[str, Array] = {}
    for place, block in enumerate(stage.blocks):
        mine = slice(*np.searchsorted(ids, (block.offset, block.end)))
        row, column = np.divmod(ids[mine] - block.offset, block.num_sources)
        values = {"row": row, "column": column, "weight": weight[mine], "id": ids[mine]}
        found |= {f"{part}.{place}.{name}": value for name, value in values.items()}
    for name, (column, row) in sums_of_stage(stage).items():
        found |= {f"{name}.column": column, f"{name}.row": row}
    return found


def operation_arrays(name: str, operation: nn.Module) -> dict[str, Array]:
    """Kernel and norm of a node operation."""
    assert isinstance(operation, NodeOperation)
    return {f"{name}.kernel": array(operation.kernel)[:, 0], **norm_arrays(name, operation.norm)}
