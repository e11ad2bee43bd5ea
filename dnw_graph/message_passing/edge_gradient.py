"""The gradient to the weights of edges: of selected ones, and straight through to all candidates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend
from dnw_graph.message_passing.stage_block import Block, BlockOfWhole, Place


class EdgeGradient:
    """∂L/∂w of all candidates of a stage, written to one flat tensor, part by part of a batch.

    A selected edge (u, v) gets Σ_{b,y,x} g_v h_u over all images. Any other candidate gets `factor` times
    that over the first `images` of the batch; over none if they are 0.
    """

    def __init__(self, gradient: Tensor, engine: Backend, batch: int, images: int, factor: float) -> None:
        self.gradient, self.engine = gradient, engine
        self.images, self.factor = images, factor
        self._is_whole = images == batch and factor == 1.0
        self._done: dict[int, int] = {}
        self._selected: dict[int, Tensor] = {}
        self._blocks: dict[int, Block] = {}

    def add(self, block: Block, g: Sequence[Tensor], h: Tensor) -> None:
        """The next images of a block: g [t_i, D], whose rows follow each other, and h [S, D]."""
        level = block.place.level
        begun = level in self._blocks
        self._blocks[level] = block
        self._add_candidates(block.place, g, h, begun)
        if self._is_whole or not block.edges or not h.shape[1]:
            return
        assert not isinstance(block, BlockOfWhole)
        found = self.engine.edge_gradient_of_pieces(g, h, block.pointer, block.source)
        self._selected[level] = self._selected[level] + found if begun else found

    def _add_candidates(self, place: Place, g: Sequence[Tensor], h: Tensor, begun: bool) -> None:
        gradient = self.gradient[place.candidates]
        images = h.shape[1] // place.pixels if place.pixels else 0
        before = self._done.get(place.level, 0)
        self._done[place.level] = before + images
        share = min(max(self.images - before, 0), images) * place.pixels
        if not share:
            if not begun:
                gradient.zero_()
            return
        matrix = gradient.view(-1, h.shape[0])
        for rows, part in zip(matrix.split([piece.shape[0] for piece in g]), g, strict=True):
            if begun:
                rows.addmm_(part[:, :share], h[:, :share].t())
            else:
                torch.mm(part[:, :share], h[:, :share].t(), out=rows)

    def finish(self) -> None:
        """Scale what unselected edges got, and put that of selected ones in its place."""
        if self.factor != 1.0:
            self.gradient *= self.factor
        for level, found in self._selected.items():
            block = self._blocks[level]
            self.gradient[block.place.candidates][block.position] = found
