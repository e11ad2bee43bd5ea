"""The numbers that the 2019 program printed, reproduced to the last integer.

Its convention differs from an exact count: edges are the budget (a float, never the live ones), a node counts
as soon as one of its edges leaves it, images always have 224 pixels, pooling costs a MAC per pixel, and each
block is truncated to an integer. All of it is float64 in that program's order of operations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from dnw_graph.accounting.report import Part, Published

PIXELS = 224
TINY_STEM_AND_CLASSIFIER = 2258
"""Stem convolutions, their norms and biases, and `fc`, of the tiny network at its published size."""


@dataclass(frozen=True)
class Block:
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


def all_alive(blocks: Sequence[Block]) -> Alive:
    """Every node used: with it, `profile` gives the bound of a budget."""
    return Alive(tuple(block.sources for block in blocks), blocks[0].inputs, blocks[-1].width)


def float_budget(block: Block, rate: float) -> float:
    """Edges that the program reckoned with, float64: its budget after going through a prune rate and back."""
    edges = block.inputs * block.width * (1 - rate) * (1 - rate)
    for _ in range(block.groups - 1):
        edges += block.width * block.width * (1 - rate) * (1 - rate)
    positions = block.sources * block.targets
    block_rate = 1 - edges / float(positions)
    return positions * (1 - block_rate)


def profile(
    blocks: Sequence[Block],
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
    return profile_edges(blocks, edges, num_classes, alive=alive, head_rate=rate if small else None)


def profile_edges(
    blocks: Sequence[Block],
    edges: Sequence[float],
    num_classes: int,
    *,
    alive: Alive | None = None,
    head_rate: float | None = None,
) -> Published:
    """The same from a number of edges per block (what budgets that are no prune rate give).

    head_rate  prune rate of a wired classifier; None: the classifier is dense
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
    if head_rate is None:
        classifier = alive.outputs * num_classes
    else:
        classifier = int(blocks[-1].width * num_classes * (1 - head_rate))
    head = Part(params=classifier, macs=classifier + side * side * alive.outputs)
    return Published(
        params=stem.params + sum(stage.params for stage in stages) + head.params,
        macs=stem.macs + sum(stage.macs for stage in stages) + head.macs,
        stem=stem,
        stages=tuple(stages),
        head=head,
    )


def tiny(edges: int, nodes: int = 800) -> Published:
    """The paper's "41k": edges, nine weights per node, stem and classifier with their norms and biases.

    The instance norms of the nodes are not in it, and no MACs were published.
    """
    return Published(params=edges + 9 * nodes + TINY_STEM_AND_CLASSIFIER, macs=None)
