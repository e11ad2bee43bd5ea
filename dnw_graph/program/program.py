"""A program: the steps of one network, their tensors, and what follows from both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dnw_graph.program.steps import (
    Convolution,
    Edges,
    Integrate,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Repeat,
    Step,
    Sum,
)

Array = npt.NDArray[Any]
IMAGES, LOGITS = "images", "logits"
Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Program:
    """Images → logits.

    steps       in the order in which they run
    channels    of every state, by name; the first is `images`, the result `logits`
    tensors     "step.tensor" → array
    image_size  side of the images that the network was made for, in pixels
    """

    steps: tuple[Step, ...]
    channels: Mapping[str, int]
    tensors: Mapping[str, Array]
    image_size: int

    def tensor(self, step: Step, name: str) -> Array:
        """A tensor that the step must have."""
        return self.tensors[f"{step.name}.{name}"]

    def optional(self, step: Step, name: str) -> Array | None:
        """A tensor that the step may lack."""
        return self.tensors.get(f"{step.name}.{name}")

    def flat(self) -> Iterator[Step]:
        """All steps, those inside of `Repeat` and `Integrate` once and in their place."""
        yield from flattened(self.steps)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers: the widest floating type among them."""
        floating = {values.dtype for values in self.tensors.values() if values.dtype.kind == "f"}
        return np.result_type(np.float32, *floating)

    def shapes(self, height: int | None = None, width: int | None = None) -> dict[str, Shape]:
        """State → (channels, height, width), for images of that size or of the program's own."""
        height = self.image_size if height is None else height
        sides = {IMAGES: (height, height if width is None else width)}
        for step in self.flat():
            _follow(step, self, sides)
        for step in self.flat():
            # A state that another program made has the size of the one that starts from it.
            if isinstance(step, Edges):
                sides.setdefault(step.source, sides[step.targets[0]])
        return {name: (self.channels[name], *sides[name]) for name in self.channels if name in sides}

    def scale_shift(self, step: NodeOperation | Norm) -> tuple[Array, Array]:
        """A norm's (scale, shift) [C]: running statistics folded in, or what follows mean 0, variance 1."""
        if (scale := self.optional(step, "scale")) is not None:
            return scale, self.tensor(step, "shift")
        norm, eps = norm_of(step)
        if norm == "none":
            one = np.ones(self.channels[step.source], dtype=self.dtype)
            return one, np.zeros_like(one)
        weight, bias = self.tensor(step, "norm_weight"), self.tensor(step, "norm_bias")
        if norm != "batch":
            return weight, bias
        mean, var = (self.tensor(step, f"norm_{name}").astype(np.float64) for name in ("mean", "var"))
        factor = weight.astype(np.float64) / np.sqrt(var + eps)
        return factor.astype(weight.dtype), (bias - mean * factor).astype(weight.dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        same = self.steps == other.steps and dict(self.channels) == dict(other.channels)
        same = same and self.image_size == other.image_size and self.tensors.keys() == other.tensors.keys()
        return same and all(np.array_equal(a, other.tensors[key]) for key, a in self.tensors.items())

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        shapes = self.shapes()
        lines = [f"images {_spelled(shapes[IMAGES])}"]
        for step in self.steps:
            lines += _lines(step, self, shapes, "")
        return "\n".join(lines)


def flattened(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Steps, and in the place of a `Repeat` or `Integrate` it and then its own."""
    for step in steps:
        yield step
        if isinstance(step, (Repeat, Integrate)):
            yield from flattened(step.steps)


def mapped(steps: tuple[Step, ...], change: Mapping[Step, Step]) -> tuple[Step, ...]:
    """Steps with some replaced, inside of `Repeat` and `Integrate` too."""
    result: list[Step] = []
    for step in steps:
        if isinstance(step, (Repeat, Integrate)):
            result.append(replace(step, steps=mapped(step.steps, change)))
        else:
            result.append(change.get(step, step))
    return tuple(result)


def norm_of(step: NodeOperation | Norm) -> tuple[str, float]:
    """(kind, eps) of a step's norm."""
    return (step.norm, step.eps) if isinstance(step, Norm) else (step.spec.norm, step.spec.eps)


def _follow(step: Step, program: Program, sides: dict[str, tuple[int, int]]) -> None:
    """Sides of the maps that a step writes."""
    if isinstance(step, Convolution):
        kernel = program.tensor(step, "weight").shape[2]
        height, width = ((side + 2 * step.padding - kernel) // step.stride + 1 for side in sides[step.source])
        sides[step.target] = height, width
    elif isinstance(step, NodeOperation):
        height, width = sides[step.source]
        sides[step.target] = -(-height // step.spec.stride), -(-width // step.spec.stride)
    elif isinstance(step, Edges) and step.source in sides:
        for target in step.targets:
            sides[target] = sides[step.source]
    elif isinstance(step, Pool):
        sides[step.target] = (1, 1)
    elif isinstance(step, (Norm, Linear)):
        sides[step.target] = sides[step.source]


def _spelled(shape: Shape) -> str:
    return "×".join(map(str, shape))


def _lines(step: Step, program: Program, shapes: Mapping[str, Shape], indent: str) -> list[str]:
    """A line for a step, and for those inside of it."""
    if isinstance(step, (Repeat, Integrate)):
        how = (
            f"{step.times} times" if isinstance(step, Repeat) else f"solve from 0 to 1 to {step.tolerance:g}"
        )
        within = [line for each in step.steps for line in _lines(each, program, shapes, indent + "  ")]
        return [f"{indent}{step.state} ← {step.result}, {how}:", *within]
    if isinstance(step, Messages):
        edges = program.tensor(step, "weight").size
        to = ", ".join(f"{name} {size}" for name, size in zip(step.targets, step.sizes, strict=True))
        return [f"{indent}{step.source} → {to}: messages along {edges:,} edges"]
    what = {
        Convolution: lambda s: f"{'depthwise ' * s.depthwise}convolution, stride {s.stride}, {s.activation}",
        NodeOperation: lambda s: f"node operation ({s.spec})",
        Norm: lambda s: f"norm ({s.norm}, {s.activation})",
        Sum: lambda s: f"{program.tensor(s, 'row').size} maps added",
        Pool: lambda s: "mean" if s.window is None else f"mean over {s.window[0]} … {s.window[1] - 1}",
        Linear: lambda s: "linear",
    }[type(step)](step)
    target: str = step.target  # type: ignore[attr-defined]
    return [f"{indent}{step.source} → {target} {_spelled(shapes[target])}: {what}"]  # type: ignore[attr-defined]
