"""What constant nodes send: maps that no image changes, made once per input size.

Such a map is not uniform: the padded convolution sees the border.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dnw_graph.graph.layout import Level
from dnw_graph.inference.layers import Choice, Messages, NodeStep
from dnw_graph.inference.liveness import Liveness
from dnw_graph.message_passing import EdgeIndex
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.stage import WiredStage


@dataclass(frozen=True)
class Constants:
    """What live nodes receive from constant ones, for one size of the stem's maps.

    received   per level, [nodes of the level, H, W]: sum of the constant messages into each node
               (for a constant node: its state); None for the stem's level
    """

    received: list[Tensor | None]


class ConstantMaps(nn.Module):
    """The constant part of a network, ready to be evaluated for any input size.

    It holds only edges that leave constant nodes, so that it costs nothing per image.
    """

    def __init__(self, model: WiredNetwork, alive: Liveness) -> None:
        super().__init__()
        self.layout = model.layout
        self.alive = alive
        self.steps = nn.ModuleList(
            NodeStep(model.body.node_operation(level), nodes)
            for level, nodes in enumerate(alive.constant[:-1])
        )
        self.messages = nn.ModuleList(
            _from_constants(wired, position, alive.constant[level.index])
            for wired in model.body_stages()
            for position, level in enumerate(wired.stage.levels[:-1])
        )

    @property
    def like(self) -> Tensor:
        """A tensor of the dtype and on the device that the maps have."""
        kernel = self.steps[0].kernel
        assert isinstance(kernel, Tensor)
        return kernel

    @torch.no_grad()
    def forward(self, height: int, width: int) -> Constants:
        """Constant maps for stem maps of [height, width]."""
        # Made once and kept: as exact as the weights, whatever precision is asked for at the time.
        with torch.autocast(self.like.device.type, enabled=False):
            return self._evaluate(height, width)

    def _evaluate(self, height: int, width: int) -> Constants:
        received: list[Tensor | None] = [None] * len(self.layout.levels)
        state = self.like.new_zeros(self.layout.levels[0].size, 1, height, width)
        for stage in self.layout.stages:
            stride = stage.levels[0].stride
            height, width = -(-height // stride), -(-width // stride)
            total = self.like.new_zeros(sum(level.size for level in stage.levels[1:]), 1, height, width)
            first = stage.levels[1].first
            for level, block in zip(stage.levels, stage.blocks, strict=False):
                if level.index != stage.levels[0].index:
                    state = total[level.first - first : level.end - first]
                h = self.steps[level.index](state[self.alive.constant[level.index]])
                rows = slice(block.target - first, block.target - first + block.num_targets)
                # Every level but the last sends, once: its messages have its number.
                total[rows] = self.messages[level.index](h.contiguous(), total[rows])
                if self.layout.carry and level is stage.levels[-2] and stage is self.layout.stages[-1]:
                    twins = state[-self.layout.carry :].clone()
                    live = torch.isin(self._twin_numbers(level), self.alive.live[level.index])
                    # A live twin's state, constant part included, is carried along with its live part.
                    twins[live] = 0
                    total[-self.layout.carry :] += twins
            for level in stage.levels[1:]:
                received[level.index] = total[level.first - first : level.end - first, 0]
            last = stage.levels[-1]
            state = total[last.first - first : last.end - first]
        return Constants(received)

    def _twin_numbers(self, level: Level) -> Tensor:
        return torch.arange(level.size - self.layout.carry, level.size)


def _from_constants(wired: WiredStage, position: int, constant: Tensor) -> Messages:
    """The selected edges of a block that leave constant nodes, sources renumbered among these."""
    targets = torch.arange(wired.stage.blocks[position].num_targets)
    return Messages(*restricted(wired, position, constant, targets), Choice("dense"))


@torch.no_grad()
def restricted(
    wired: WiredStage, position: int, sources: Tensor, targets: Tensor
) -> tuple[EdgeIndex, Tensor]:
    """The selected edges of block `position` between the given sources and targets.

    sources, targets  numbers within the block, each once; the order is that of the new numbers
    returns           their index, both ends renumbered, and their weights [e]
    """
    block, index = wired.stage.blocks[position], wired.indices()[position]
    device = index.source.device
    new_source = torch.full((block.num_sources,), -1, device=device)
    new_source[sources.to(device)] = torch.arange(sources.numel(), device=device)
    new_target = torch.full((block.num_targets,), -1, device=device)
    new_target[targets.to(device)] = torch.arange(targets.numel(), device=device)
    row, column = new_target[index.position // block.num_sources], new_source[index.source]
    kept = (row >= 0) & (column >= 0)
    # With no source the positions are all absent, and any divisor does.
    width = max(1, sources.numel())
    places, order = (row[kept] * width + column[kept]).sort()
    value = wired.block_weights()[position][index.position[kept][order]].detach()
    renumbered = EdgeIndex.of_positions(places, targets.numel(), width)
    shape = targets.numel(), sources.numel()
    return EdgeIndex(renumbered.pointer, renumbered.source, renumbered.position, (shape,)), value
