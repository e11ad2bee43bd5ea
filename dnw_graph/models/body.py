"""The wired body: node operations and message passing, level by level."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from dnw_graph.graph.layout import Layout
from dnw_graph.models.node_operation import NodeOperation
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.whole_stage import run_as_one, runs_as_one


class WiredBody(nn.Module):
    """States of the stem's channels → states of the last level, node-major.

    operations[l]  the node operation of sending level l
    stages[s]      candidate weights and wiring of stage s
    """

    def __init__(self, layout: Layout, stages: list[WiredStage], norm: Literal["batch", "instance"]) -> None:
        super().__init__()
        self.layout = layout
        self.norm = norm
        self.operations = nn.ModuleList(
            NodeOperation(level.size, level.stride, norm) for level in layout.levels if level.sends
        )
        self.stages = nn.ModuleList(stages)

    def node_operation(self, level: int) -> NodeOperation:
        """The operation of a sending level."""
        operation = self.operations[level]
        assert isinstance(operation, NodeOperation)
        return operation

    def forward(self, z: Tensor) -> Tensor:
        """[C0, B, h, w] contiguous → [C_last, B, h', w']."""
        for stage in self.stages:
            z = self._run(stage, z)  # type: ignore[arg-type]
        return z

    def _run(self, wired: WiredStage, z: Tensor) -> Tensor:
        operations = [self.node_operation(level.index) for level in wired.stage.levels[:-1]]
        carry = self.layout.carry if wired.stage is self.layout.stages[-1] else 0
        if runs_as_one(wired, operations, z):
            return run_as_one(wired, operations, z, carry)
        return self.run_level_by_level(wired, z)

    def run_level_by_level(self, wired: WiredStage, z: Tensor) -> Tensor:
        """A stage as torch's autograd runs it: one node operation and one message passing at a time."""
        stage = wired.stage
        later: Tensor | None = None
        last = len(stage.blocks) - 1
        parts = zip(wired.indices(), wired.block_weights(), strict=True)
        for position, (level, (index, weight)) in enumerate(zip(stage.levels, parts, strict=False)):
            if later is not None:
                # The first rows have heard from all their sources; the others go on listening.
                z, later = later.split([level.size, later.shape[0] - level.size])
            h = self.operations[level.index](z)
            base = later if later is not None and later.shape[0] else None
            if position == last and self.layout.carry and stage is self.layout.stages[-1]:
                base = z[-self.layout.carry :]
            later = wired.send(index, weight, h, base)
        assert later is not None
        return later
