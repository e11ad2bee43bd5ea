"""The compiled body: live nodes and live edges only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dnw_graph.graph.layout import Layout, Level
from dnw_graph.inference.constants import Constants, restricted
from dnw_graph.inference.layers import Choice, Messages, NodeStep
from dnw_graph.inference.liveness import Liveness
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.stage import WiredStage


class CompiledStage(nn.Module):
    """One stage over its live nodes.

    steps[i], messages[i]  node operation and message passing of sending level i
    sizes[i]               live nodes of level i
    """

    readout: Tensor
    twin: Tensor

    def __init__(self, model: WiredNetwork, wired: WiredStage, alive: Liveness, choice: Choice) -> None:
        super().__init__()
        stage = wired.stage
        levels = [alive.live[level.index] for level in stage.levels]
        self.sizes = [nodes.numel() for nodes in levels]
        self.steps, self.messages = nn.ModuleList(), nn.ModuleList()
        for position, (level, block) in enumerate(zip(stage.levels, stage.blocks, strict=False)):
            targets = torch.cat(
                [
                    nodes + later.first - block.target
                    for later, nodes in zip(stage.levels, levels, strict=True)
                    if block.target <= later.first < block.target + block.num_targets
                ]
            )
            index, value = restricted(wired, position, levels[position], targets)
            self.steps.append(NodeStep(model.body.node_operation(level.index), levels[position]))
            self.messages.append(Messages(index, value, choice))
        carries = model.layout.carry if stage is model.layout.stages[-1] else 0
        self._find_carried(carries, stage.levels[-2].size, levels)

    def _find_carried(self, carry: int, twin_level: int, levels: list[Tensor]) -> None:
        """Rows of live readout nodes with a live twin, and the rows of these twins."""
        self.carries = carry > 0
        twins = levels[-1] + twin_level - carry
        place = torch.full((twin_level,), -1)
        place[levels[-2]] = torch.arange(levels[-2].numel())
        row = place[twins] if carry else place[:0]
        readout = torch.nonzero(row >= 0).squeeze(1)
        self.register_buffer("readout", readout)
        self.register_buffer("twin", row[readout])

    def forward(self, z: Tensor, base: Tensor | None, readout_base: Tensor | None) -> Tensor:
        """Live input states [C, B, H, W] → live output states.

        base          what constant nodes send to the targets of the first block, [T, 1, h, w]
        readout_base  the same for readout nodes, where there are any
        """
        later = None if base is None else base.expand(-1, z.shape[1], -1, -1)
        for position, (step, messages) in enumerate(zip(self.steps, self.messages, strict=True)):
            if position:
                assert later is not None
                size = self.sizes[position]
                z, later = later.split([size, later.shape[0] - size])
            if self.carries and position == len(self.steps) - 1:
                later = self._carried(z, readout_base)
            h = step(z)
            later = messages(h, later if later is not None and later.shape[0] else None)
        assert later is not None
        return later

    def _carried(self, z: Tensor, readout_base: Tensor | None) -> Tensor:
        base = z.new_zeros(self.sizes[-1], *z.shape[1:])
        if readout_base is not None:
            base += readout_base
        base[self.readout] += z[self.twin]
        return base


def stage_bases(
    layout: Layout, alive: Liveness, constants: Constants
) -> list[tuple[Tensor | None, Tensor | None]]:
    """Per stage, the (base, readout_base) of `CompiledStage.forward`; None where nothing constant arrives."""
    bases = []
    for stage in layout.stages:
        readout = [stage.levels[-1]] if layout.carry and stage is layout.stages[-1] else []
        first = [level for level in stage.levels[1:] if level not in readout]
        bases.append((_received(first, alive, constants), _received(readout, alive, constants)))
    return bases


def _received(levels: list[Level], alive: Liveness, constants: Constants) -> Tensor | None:
    parts = []
    for level in levels:
        maps = constants.received[level.index]
        assert maps is not None
        parts.append(maps[alive.live[level.index].to(maps.device)])
    together = torch.cat(parts).unsqueeze(1) if parts else None
    return together if together is not None and bool(together.any()) else None
