"""The gradient to the weights of edges: of selected ones, and straight through to all candidates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.graph.schedule import Turn
from dnw_graph.message_passing.backend import Backend
from dnw_graph.message_passing.edge_index import EdgeIndex


class EdgeGradient:
    """∂L/∂w of all candidates of a stage, written to one flat tensor, part by part of a batch.

    A selected edge (u, v) gets Σ_{b,y,x} g_v h_u over all images. Any other candidate gets `factor` times
    that over the first `images` of the batch; over none if they are 0.

    For those images one dense product gives both; for the others selected edges have a product of their own.
    """

    def __init__(self, gradient: Tensor, backend: Backend, pixels: int, images: int, factor: float) -> None:
        """pixels: of a map that a node sends."""
        self.gradient, self.backend, self.pixels = gradient, backend, pixels
        self.images, self.factor = images, factor
        self._done: dict[int, int] = {}
        self._rest: dict[int, Tensor] = {}
        self._blocks: dict[int, tuple[Turn, EdgeIndex]] = {}

    def add(self, turn: Turn, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> None:
        """The next images of a block: g [t_i, D], whose rows follow each other, and h [S, D]."""
        level = turn.level
        begun = level in self._blocks
        self._blocks[level] = turn, index
        images = h.shape[1] // self.pixels if self.pixels else 0
        before = self._done.get(level, 0)
        self._done[level] = before + images
        share = min(max(self.images - before, 0), images) * self.pixels
        if share:
            self._add_candidates(turn, [part[:, :share] for part in g], h[:, :share], begun)
        elif not begun:
            self.gradient[turn.candidates].zero_()
        if share < h.shape[1] and index.num_edges:
            self._add_selected(level, index, [part[:, share:] for part in g], h[:, share:])

    def _add_candidates(self, turn: Turn, g: Sequence[Tensor], h: Tensor, begun: bool) -> None:
        matrix = self.gradient[turn.candidates].view(-1, h.shape[0])
        for rows, part in zip(matrix.split([piece.shape[0] for piece in g]), g, strict=True):
            if begun:
                rows.addmm_(part, h.t())
            else:
                torch.mm(part, h.t(), out=rows)

    def _add_selected(self, level: int, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> None:
        found = self.backend.edge_gradient(index, [part.contiguous() for part in g], h.contiguous())
        self._rest[level] = self._rest[level] + found if level in self._rest else found

    def finish(self) -> None:
        """Scale what unselected edges got, and complete that of selected ones."""
        if self.factor == 1.0 and not self._rest:
            return
        own = []
        for level, (turn, index) in self._blocks.items():
            # A slice's positions are those of the whole stage.
            assert index.sliced is None
            of_block = self.gradient[turn.candidates]
            own.append((of_block, index.position, of_block[index.position] + self._rest.get(level, 0)))
        if self.factor != 1.0:
            self.gradient *= self.factor
        for of_block, position, values in own:
            of_block[position] = values
