"""A compiled network step by step in torch, with any message-passing backend."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dnw_graph.program.by_torch import States, last_reads, run
from dnw_graph.program.fold import folded
from dnw_graph.program.layers import Choice, Layers
from dnw_graph.program.program import IMAGES, LOGITS, Program
from dnw_graph.program.split import from_constants


class BySteps(nn.Module):
    """One of the two parts of a split program, its norms folded."""

    def __init__(self, program: Program, choice: Choice) -> None:
        super().__init__()
        self.program = folded(program)
        self.layers = Layers(self.program, choice)
        self._unread = last_reads(self.program.steps, (LOGITS,))

    def forward(self, images: Tensor, given: dict[str, Tensor], results: tuple[str, ...]) -> States:
        """Images [B, C, H, W] and states that are given, each [channels, 1 or B, H, W] → states `results`."""
        batch = images.shape[0]
        states = {name: maps.expand(-1, batch, -1, -1) for name, maps in given.items()}
        states[IMAGES] = images.transpose(0, 1)
        unread = self._unread if results == (LOGITS,) else None
        return run(self.program.steps, States(states), self.layers.by_name(), results, unread)

    def logits(self, images: Tensor, given: dict[str, Tensor]) -> Tensor:
        """→ [B, classes]."""
        return self(images, given, (LOGITS,))[LOGITS].flatten(1).t()


class ConstantPart(nn.Module):
    """What live channels receive from constant ones: maps that no image changes, made once per size.

    Such a map is not uniform: the padded convolution sees the border.
    """

    def __init__(self, program: Program | None) -> None:
        super().__init__()
        # Its edges are few, and it runs once: any backend will do.
        self.part = None if program is None else BySteps(program, Choice("dense"))
        self.results = () if program is None else from_constants(program)

    @torch.no_grad()
    def forward(self, zeros: Tensor) -> dict[str, Tensor]:
        """An image of zeros [1, C, H, W] → maps [channels, 1, h, w] per state that is not 0 everywhere."""
        if self.part is None:
            return {}
        # Made once and kept: as exact as the weights, whatever precision is asked for at the time.
        with torch.autocast(zeros.device.type, enabled=False):
            states = self.part(zeros, {}, self.results)
        return {name: states[name] for name in self.results if bool(states[name].any())}
