"""A stage forward and backward for some images of a batch: what the operator of a whole stage is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dnw_graph.graph.schedule import Turn
from dnw_graph.message_passing.backend import Backend
from dnw_graph.message_passing.edge_gradient import EdgeGradient
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.message_passing.executed import record
from dnw_graph.message_passing.stage_spec import StageSpec
from dnw_graph.node_operation import NodeKernels

# States of all levels that a part of a batch may have: they then stay in a cache that cores share.
_PART_BYTES = 24 << 20
# Images lie in the lanes of vectors.
_LANES = 16


def image_parts(batch: int, bytes_per_image: int, spec: StageSpec, device: torch.device) -> list[slice]:
    """How a batch is cut into parts that go through a stage one after the other.

    Where images do not depend on each other, a part's states stay in a CPU's cache from level to level.
    Statistics of the batch need all images at once, and so does a GPU, to be busy.
    """
    of_batch = spec.node.norm == "batch" and not spec.fixed
    if of_batch or device.type != "cpu":
        return [slice(0, batch)]
    vectors = max(1, _PART_BYTES // max(1, bytes_per_image) // _LANES)
    # An odd number: rows a power of two apart would share the same few sets of a cache.
    images = (vectors - 1 + vectors % 2) * _LANES
    return [slice(first, min(first + images, batch)) for first in range(0, batch, images)]


@dataclass(frozen=True)
class NodeParameters:
    """Of all sending levels: scale, shift [N], kernel [N, 1, k, k]."""

    scale: Tensor
    shift: Tensor
    kernel: Tensor

    def of(self, turn: Turn) -> tuple[Tensor, Tensor, Tensor]:
        return self.scale[turn.nodes], self.shift[turn.nodes], self.kernel[turn.nodes]


@dataclass(frozen=True)
class Sending:
    """A level's turn to send: along which edges, and times which values [e]."""

    turn: Turn
    index: EdgeIndex
    value: Tensor

    def heard_by(self, states: Tensor, last: Tensor) -> list[Tensor]:
        """The target rows [t_i, D], as one or two matrices; both given as [nodes, B, H, W]."""
        pieces = [states[self.turn.later], last] if self.turn.last else [states[self.turn.later]]
        columns = last.shape[1:].numel()
        return [piece.reshape(-1, columns) for piece in pieces if piece.shape[0]]


def sendings(weight: Tensor, indices: Sequence[EdgeIndex], spec: StageSpec) -> list[Sending]:
    """The turns of a stage.

    weight   [candidates]
    indices  of each block, or one of the whole stage
    """
    turns = spec.schedule.turns
    if len(indices) == len(turns):
        return [
            Sending(turn, index, weight[turn.candidates][index.position])
            for turn, index in zip(turns, indices, strict=True)
        ]
    (whole,) = indices
    value = weight[whole.position]
    return [Sending(turn, whole.block(turn.level), value) for turn in turns]


@dataclass(frozen=True)
class StagePass:
    """A stage as it is during one step."""

    spec: StageSpec
    sendings: list[Sending]
    backend: Backend
    nodes: NodeKernels
    parameters: NodeParameters

    def forward(
        self, z: Tensor, states: Tensor, out: Tensor, fixed: tuple[Tensor, Tensor] | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """Fill the states of the levels between [N, b, H', W'] and the last level's, out [S_n, b, H', W'].

        z [S_0, b, H, W]; fixed: mean and variance [N] if they are given. Returns those of each level.
        """
        means, variances, heard = [], [], False
        for sending in self.sendings:
            turn, index = sending.turn, sending.index
            here = states[turn.states] if turn.level else z
            groups = here.shape[0] * (here.shape[1] if self.spec.node.norm == "instance" else 1)
            mean, variance = (
                self.nodes.statistics(here, groups)
                if fixed is None
                else (fixed[0][turn.nodes], fixed[1][turn.nodes])
            )
            means.append(mean)
            variances.append(variance)
            h = self._sent(turn, here, mean, torch.rsqrt(variance + self.spec.node.eps))
            later, rows = sending.heard_by(states, out), h.reshape(turn.size, -1)
            self._record(sending, rows.shape[1])
            add = turn.level > 0
            if turn.last and not heard:
                # Nothing was written to the last level yet.
                heard = True
                add = add and len(later) == 2
                if add or not index.num_edges:
                    out.zero_()
            if index.num_edges:
                self.backend.send(index, sending.value, rows, later, add=add)
            elif not turn.level:
                states.zero_()
            if turn.start:
                out += here[-turn.start :]
        return means, variances

    def _sent(self, turn: Turn, z: Tensor, mean: Tensor, rstd: Tensor) -> Tensor:
        return self.nodes.forward(z, mean, rstd, *self.parameters.of(turn), self._stride(turn))

    def _stride(self, turn: Turn) -> int:
        return 1 if turn.level else self.spec.node.stride

    def _record(self, sending: Sending, columns: int) -> None:
        """Executed multiply-accumulates; of slices of a stage's edges, all blocks' with the first one."""
        index = sending.index
        if index.sliced is None or not sending.turn.level:
            record(self.backend.executed_macs(index.num_edges, index.blocks, columns))

    def backward(
        self,
        g: Tensor,
        z: Tensor,
        states: Tensor,
        statistics: Sequence[tuple[Tensor, Tensor]],
        grad_z: Tensor,
        gradients: NodeParameters,
        edges: EdgeGradient | None,
    ) -> None:
        """Write ∂L/∂z to grad_z for g = ∂L/∂out, and add to the gradients of parameters and edges.

        statistics  mean and variance of each level, as `forward` gave them
        """
        grad_states = torch.empty_like(states)
        for sending, (mean, variance) in zip(reversed(self.sendings), reversed(statistics), strict=True):
            turn, index = sending.turn, sending.index
            here = states[turn.states] if turn.level else z
            into = grad_states[turn.states] if turn.level else grad_z
            rstd = torch.rsqrt(variance + self.spec.node.eps)
            later = sending.heard_by(grad_states, g)
            if edges is not None:
                h = self._sent(turn, here, mean, rstd).reshape(turn.size, -1)
                edges.add(turn, index, later, h)
                # The gradient to it takes its memory.
                del h
            if index.num_edges:
                found = self.nodes.backward(
                    self.backend.send_back(index, sending.value, later).reshape(turn.size, *g.shape[1:]),
                    here,
                    mean,
                    rstd,
                    *self.parameters.of(turn),
                    self._stride(turn),
                    not self.spec.fixed,
                    into,
                )
                for whole, part in zip(gradients.of(turn), found[1:], strict=True):
                    whole += part
            else:
                into.zero_()
            if turn.start:
                into[-turn.start :] += g
