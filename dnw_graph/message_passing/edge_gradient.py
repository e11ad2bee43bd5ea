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

    For those images one dense product gives both; for the others selected edges have a product of their own.
    """

    def __init__(self, gradient: Tensor, engine: Backend, images: int, factor: float) -> None:
        self.gradient, self.engine = gradient, engine
        self.images, self.factor = images, factor
        self._done: dict[int, int] = {}
        self._rest: dict[int, Tensor] = {}
        self._blocks: dict[int, Block] = {}

    def add(self, block: Block, g: Sequence[Tensor], h: Tensor) -> None:
        """The next images of a block: g [t_i, D], whose rows follow each other, and h [S, D]."""
        place = block.place
        begun = place.level in self._blocks
        self._blocks[place.level] = block
        images = h.shape[1] // place.pixels if place.pixels else 0
        before = self._done.get(place.level, 0)
        self._done[place.level] = before + images
        share = min(max(self.images - before, 0), images) * place.pixels
        if share:
            self._add_candidates(place, [part[:, :share] for part in g], h[:, :share], begun)
        elif not begun:
            self.gradient[place.candidates].zero_()
        if share < h.shape[1] and block.edges:
            self._add_selected(block, [part[:, share:] for part in g], h[:, share:])

    def _add_candidates(self, place: Place, g: Sequence[Tensor], h: Tensor, begun: bool) -> None:
        matrix = self.gradient[place.candidates].view(-1, h.shape[0])
        for rows, part in zip(matrix.split([piece.shape[0] for piece in g]), g, strict=True):
            if begun:
                rows.addmm_(part, h.t())
            else:
                torch.mm(part, h.t(), out=rows)

    def _add_selected(self, block: Block, g: Sequence[Tensor], h: Tensor) -> None:
        parts = [part.contiguous() for part in g]
        found = self.engine.edge_gradient_of_pieces(parts, h.contiguous(), block.pointer, block.source)
        level = block.place.level
        self._rest[level] = self._rest[level] + found if level in self._rest else found

    def finish(self) -> None:
        """Scale what unselected edges got, and complete that of selected ones."""
        if self.factor == 1.0 and not self._rest:
            return
        own = []
        for level, block in self._blocks.items():
            # Its positions would be those of the whole stage.
            assert not isinstance(block, BlockOfWhole)
            of_block = self.gradient[block.place.candidates]
            own.append((of_block, block.position, of_block[block.position] + self._rest.get(level, 0)))
        if self.factor != 1.0:
            self.gradient *= self.factor
        for of_block, position, values in own:
            of_block[position] = values
