"""What a program costs: multiply-accumulates and parameters, read off its steps.

Counted: the products of convolutions, node operations, messages and linear layers. Not counted: norms,
activations, pooling, biases, and starts, which are sums. Products with the zeros of the padding count, since
every kernel does them.
"""

from __future__ import annotations

from dataclasses import dataclass

from dnw_graph.program.program import Program, Shape
from dnw_graph.program.steps import Convolution, Linear, Messages, NodeOperation, Norm, Repeat, Step


@dataclass(frozen=True)
class Cost:
    """macs: per image (inside of `Integrate`, per evaluation); params: weights; others: norms and biases."""

    macs: int = 0
    params: int = 0
    others: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.macs + other.macs, self.params + other.params, self.others + other.others)


def cost(program: Program, part: str | None = None) -> Cost:
    """Of the whole program for an image of its size, or of one part of the network.

    Steps that share tensors each cost MACs, and their parameters once.
    """
    shapes, seen = program.shapes(), set[str]()
    total = Cost()
    for step, times in _with_times(program.steps):
        if part is None or step.part == part:
            one = cost_of(step, program, shapes)
            new = step.name not in seen
            total += Cost(one.macs * times, one.params if new else 0, one.others if new else 0)
            seen.add(step.name)
    return total


def cost_of(step: Step, program: Program, shapes: dict[str, Shape]) -> Cost:
    """Of one flat step, for maps of these shapes."""
    if isinstance(step, (Convolution, Linear)):
        _, height, width = shapes[step.target]
        weights, bias = program.tensor(step, "weight").size, program.optional(step, "bias")
        return Cost(weights * height * width, weights, 0 if bias is None else bias.size)
    if isinstance(step, NodeOperation):
        channels, height, width = shapes[step.target]
        weights = program.tensor(step, "kernel").size
        return Cost(weights * height * width, weights, 0 if step.spec.norm == "none" else 2 * channels)
    if isinstance(step, Norm):
        return Cost(others=2 * shapes[step.target][0])
    if isinstance(step, Messages):
        edges = program.tensor(step, "weight").size
        _, height, width = shapes[step.targets[0]]
        return Cost(edges * height * width, edges)
    return Cost()


def pixels_of_messages(program: Program, part: str) -> int:
    """MACs of one more edge in a part that has messages: its pixels, as often as it runs."""
    shapes = program.shapes()
    found = [
        (step, times)
        for step, times in _with_times(program.steps)
        if isinstance(step, Messages) and step.part == part
    ]
    first, _ = found[0]
    # An unrolled step stands there once for each of its evaluations.
    times = sum(often for step, often in found if step.name == first.name)
    return times * shapes[first.targets[0]][1] * shapes[first.targets[0]][2]


def _with_times(steps: tuple[Step, ...]) -> list[tuple[Step, int]]:
    """Flat steps, and how often each runs."""
    found: list[tuple[Step, int]] = []
    for step in steps:
        if hasattr(step, "steps"):
            times = step.times if isinstance(step, Repeat) else 1
            found += [(each, times * often) for each, often in _with_times(step.steps)]
        else:
            found.append((step, 1))
    return found
