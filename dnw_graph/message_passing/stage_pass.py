"""A stage forward and backward for some images of a batch: what the operator of a whole stage is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend
from dnw_graph.message_passing.edge_gradient import EdgeGradient
from dnw_graph.message_passing.executed import record
from dnw_graph.message_passing.stage_block import Block, BlockOfWhole, Place
from dnw_graph.node_operation import NodeKernels

BATCH, INSTANCE, FIXED = "batch", "instance", "fixed"

# States of all levels that a part of a batch may have: they then stay in a cache that cores share.
_PART_BYTES = 24 << 20
# Images lie in the lanes of vectors.
_LANES = 16


def image_parts(batch: int, bytes_per_image: int, norm: str, device: torch.device) -> list[slice]:
    """How a batch is cut into parts that go through a stage one after the other.

    Where images do not depend on each other, a part's states stay in a CPU's cache from level to level.
    Statistics of the batch need all images at once, and so does a GPU, to be busy.
    """
    if norm == BATCH or device.type != "cpu":
        return [slice(0, batch)]
    vectors = max(1, _PART_BYTES // max(1, bytes_per_image) // _LANES)
    # An odd number: rows a power of two apart would share the same few sets of a cache.
    images = (vectors - 1 + vectors % 2) * _LANES
    return [slice(first, min(first + images, batch)) for first in range(0, batch, images)]


@dataclass
class Parameters:
    """Of all sending levels: scale, shift [N], kernel [N, 1, 3, 3]."""

    scale: Tensor
    shift: Tensor
    kernel: Tensor

    def of(self, place: Place) -> tuple[Tensor, Tensor, Tensor]:
        return self.scale[place.nodes], self.shift[place.nodes], self.kernel[place.nodes]


@dataclass
class StagePass:
    """A stage as it is during one step; `norm` and `eps` as in `run_stage`."""

    blocks: list[Block]
    engine: Backend
    nodes: NodeKernels
    parameters: Parameters
    stride: int
    carry: int
    norm: str
    eps: float

    def forward(
        self, z: Tensor, states: Tensor, out: Tensor, fixed: tuple[Tensor, Tensor] | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Fill the states of the levels between [N, b, H', W'] and the last level's, out [S_n, b, H', W'].

        z [S_0, b, H, W]; fixed: mean and variance [N] of norm "fixed". Returns those of each level.
        """
        means, variances, heard = [], [], False
        for block in self.blocks:
            place = block.place
            here = states[place.states] if place.level else z
            groups = here.shape[0] * (here.shape[1] if self.norm == INSTANCE else 1)
            mean, variance = (
                self.nodes.statistics(here, groups)
                if fixed is None
                else (fixed[0][place.nodes], fixed[1][place.nodes])
            )
            means.append(mean)
            variances.append(variance)
            h = self._sent(place, here, mean, torch.rsqrt(variance + self.eps))
            later, rows = place.reached(states, out), h.reshape(place.size, -1)
            self._record(block, rows.shape[1])
            add = place.level > 0
            if place.last and not heard:
                # Nobody wrote to the last level yet.
                heard = True
                add = add and len(later) == 2
                if add or not block.edges:
                    out.zero_()
            if block.edges:
                block.send(self.engine, later, rows, add=add)
            elif not place.level:
                states.zero_()
        if self.carry:
            out += (states if states.shape[0] else z)[-self.carry :]
        return means, variances

    def _sent(self, place: Place, z: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        stride = 1 if place.level else self.stride
        return self.nodes.forward(z, mean, rstd, *self.parameters.of(place), stride)

    def _record(self, block: Block, columns: int) -> None:
        """Executed multiply-accumulates; of a whole stage's index, those of all blocks with the first one."""
        place = block.place
        if not isinstance(block, BlockOfWhole):
            record(self.engine.executed_macs(block.edges, place.targets, place.size, columns))
        elif not place.level:
            record(self.engine.executed_macs_of_stage(block.edges, block.index.blocks, columns))

    def backward(
        self,
        g: Tensor,
        z: Tensor,
        states: Tensor,
        statistics: Sequence[tuple[Tensor, Tensor]],
        grad_z: Tensor,
        gradients: Parameters,
        edges: EdgeGradient | None,
    ) -> None:
        """Write ∂L/∂z to grad_z for g = ∂L/∂out, and add to the gradients of parameters and edges.

        statistics  mean and variance of each level, as `forward` gave them
        """
        grad_states = torch.empty_like(states)
        for block, (mean, variance) in zip(reversed(self.blocks), reversed(statistics), strict=True):
            place = block.place
            here = states[place.states] if place.level else z
            into = grad_states[place.states] if place.level else grad_z
            rstd = torch.rsqrt(variance + self.eps)
            later = place.reached(grad_states, g)
            if edges is not None:
                h = self._sent(place, here, mean, rstd).reshape(place.size, -1)
                edges.add(block, later, h)
                # Its memory takes the gradient to it.
                del h
            if block.edges:
                found = self.nodes.backward(
                    block.send_back(self.engine, later).reshape(place.size, *g.shape[1:]),
                    here,
                    mean,
                    rstd,
                    *self.parameters.of(place),
                    1 if place.level else self.stride,
                    self.norm != FIXED,
                    into,
                )
                for whole, part in zip(gradients.of(place), found[1:], strict=True):
                    whole += part
            else:
                into.zero_()
            if self.carry and block is self.blocks[-1]:
                into[-self.carry :] += g
