"""The numbers that the 2019 program printed, reproduced to the last integer.

Its convention differs from an exact count: edges are the budget (a float, never the live ones), a node counts
as soon as one of its edges leaves it, images always have 224 pixels, pooling costs a MAC per pixel, and each
block is truncated to an integer. All of it is float64 in that program's order of operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dnw_graph.accounting.report import Part, Published
from dnw_graph.graph.layout import Layout

PIXELS = 224
TINY_STEM_AND_CLASSIFIER = 2258
"""Stem convolutions, their norms and biases, and `fc`, of the tiny network at its published size."""


@dataclass(frozen=True)
class Rectangle:
    """A stage as the 2019 program saw it: one rectangle of weights [targets, sources].

    inputs  nodes that enter; their convolution has this stride
    width   nodes of each of the `groups` later levels; the last group are the outputs
    """

    inputs: int
    width: int
    stride: int
    groups: int

    @property
    def sources(self) -> int:
        return self.inputs + self.width * (self.groups - 1)

    @property
    def targets(self) -> int:
        return self.width * self.groups


def rectangles(layout: Layout) -> tuple[Rectangle, ...]:
    """The rectangles of a chain of stages."""
    return tuple(
        Rectangle(stage.levels[0].size, stage.levels[1].size, stage.levels[0].stride, len(stage.levels) - 1)
        for stage in layout.stages
    )


@dataclass(frozen=True)
class Alive:
    """Which nodes a wiring uses, as far as the published convention asks.

    sources  per block, sources (inputs and inner nodes) with an edge that leaves them
    stem     stem channels with an edge that leaves them
    outputs  nodes of the last level with an edge that enters them
    """

    sources: tuple[int, ...]
    stem: int
    outputs: int


def prune_rate(width: float) -> float:
    """1 - width as a 2019 configuration wrote it: 0.225 -> 0.775, not 1.0 - 0.225 in binary.

    Exact in the decimals of `width`.
    """
    return float(1 - Fraction(str(width)))


def all_alive(blocks: Sequence[Rectangle]) -> Alive:
    """Every node used: with it, `profile` gives the bound of a budget."""
    return Alive(tuple(block.sources for block in blocks), blocks[0].inputs, blocks[-1].width)


def block_prune_rate(block: Rectangle, rate: float) -> float:
    """Share of the rectangle that the program pruned, for the configuration's prune rate; float64."""
    edges = block.inputs * block.width * (1 - rate) * (1 - rate)
    for _ in range(block.groups - 1):
        edges += block.width * block.width * (1 - rate) * (1 - rate)
    return 1 - edges / float(block.sources * block.targets)


def float_budget(block: Rectangle, rate: float) -> float:
    """Edges that the program reckoned with: its budget after going through a prune rate and back."""
    return block.sources * block.targets * (1 - block_prune_rate(block, rate))


def profile(
    blocks: Sequence[Rectangle],
    rate: float,
    num_classes: int,
    *,
    small: bool = False,
    alive: Alive | None = None,
) -> Published:
    """Published parameters and MACs of a MobileNetV1-like network; without `alive` the bound.

    rate  prune rate: 0.775 for a network of width 0.225
    """
    edges = [float_budget(block, rate) for block in blocks]
    head_edges = int(blocks[-1].width * num_classes * (1 - rate)) if small else None
    return profile_edges(blocks, edges, num_classes, alive=alive, head_edges=head_edges)


def profile_edges(
    blocks: Sequence[Rectangle],
    edges: Sequence[float],
    num_classes: int,
    *,
    alive: Alive | None = None,
    head_edges: int | None = None,
) -> Published:
    """The same from a number of edges per block (what budgets that are no prune rate give).

    head_edges  edges of a wired classifier; None: the classifier is dense
    """
    alive = all_alive(blocks) if alive is None else alive
    side = PIXELS // 2
    stem = Part(params=27 * alive.stem, macs=27 * alive.stem * side * side)
    stages = []
    for block, budget, sources in zip(blocks, edges, alive.sources, strict=True):
        side = -(-side // block.stride)
        stages.append(
            Part(params=int(9 * sources + budget), macs=int(9 * sources * side * side + budget * side * side))
        )
    classifier = alive.outputs * num_classes if head_edges is None else head_edges
    head = Part(params=classifier, macs=classifier + side * side * alive.outputs)
    return Published(
        params=stem.params + sum(stage.params for stage in stages) + head.params,
        macs=stem.macs + sum(stage.macs for stage in stages) + head.macs,
        stem=stem,
        stages=tuple(stages),
        head=head,
    )


def tiny(edges: int, nodes: int = 800, stem_and_classifier: int = TINY_STEM_AND_CLASSIFIER) -> Published:
    """The paper's "41k": edges, nine weights per node, stem and classifier with their norms and biases.

    The instance norms of the nodes are not in it, and no MACs were published.
    """
    return Published(params=edges + 9 * nodes + stem_and_classifier, macs=None)


def alive_in(effective: Sequence[NDArray[np.bool_]], blocks: Sequence[Rectangle]) -> Alive:
    """What a file's full rectangles use, "backward" positions included.

    effective  per block [targets, sources] bool: where the effective weight is not zero
    """
    sends = [np.any(mask, axis=0) for mask in effective]
    hears: NDArray[np.bool_] = np.any(effective[-1], axis=1)
    return Alive(
        sources=tuple(int(flags.sum()) for flags in sends),
        stem=int(sends[0][: blocks[0].inputs].sum()),
        outputs=int(hears[-blocks[-1].width :].sum()),
    )
