"""Whether a program from a file is one: every state made before it is read, every tensor of its shape.

What the rest of the code takes for granted of programs that networks were lowered to.
"""

from __future__ import annotations

from collections.abc import Mapping

from dnw_graph.program.program import IMAGES, Program, Shape
from dnw_graph.program.steps import (
    Channelwise,
    Convolution,
    Edges,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Step,
    Sum,
    sources_of,
    targets_of,
)

Side = tuple[int, int]

MOST_STEPS = 1 << 12
CONSTANTS = "constants"
"""Part of the live program that starts from what the constant one made."""


def check(program: Program, given: Mapping[str, Shape], results: tuple[str, ...]) -> dict[str, Shape]:
    """The shapes of the results, which the program has to make, for images of its own size.

    given  shapes of states that another program makes
    Raises ValueError, naming the step, for a program that cannot run.
    """
    if len(program.steps) > MOST_STEPS or len(program.channels) > MOST_STEPS:
        raise ValueError(f"has more than {MOST_STEPS:,} steps or states")
    if not 1 <= program.channels.get(IMAGES, 0) <= 16:
        raise ValueError("has images that are not of 1 to 16 channels")
    walk = _Walk(program, given)
    for step in program.steps:
        try:
            walk.over(step)
        except ValueError as error:
            raise ValueError(f"has a step {step.name[:80]!r} that {error}") from None
    if missing := [name for name in results if name not in walk.sides]:
        raise ValueError(f"has no step that makes {missing[0][:80]!r}")
    if walk.seen != program.tensors.keys():
        extra = sorted(program.tensors.keys() - walk.seen)
        raise ValueError(f"has a tensor {extra[0][:80]!r} that no step has")
    return {name: (program.channels[name], *walk.sides[name]) for name in results}


class _Walk:
    """Follows the sides of maps from step to step."""

    def __init__(self, program: Program, given: Mapping[str, Shape]) -> None:
        self.program, self.given = program, given
        self.sides: dict[str, Side] = {IMAGES: (program.image_size, program.image_size)}
        self.read: set[str] = set()
        self.seen: set[str] = set()
        self.final = {IMAGES}

    def over(self, step: Step) -> None:
        (source,) = sources_of(step)
        channels = self.program.channels
        if unknown := [name for name in (source, *targets_of(step)) if name not in channels]:
            raise ValueError(f"names a state {unknown[0][:80]!r} that is not there")
        starts = isinstance(step, Sum) and step.part == CONSTANTS
        if starts:
            if source in self.sides or self.given.get(source, (-1,))[0] != channels[source]:
                raise ValueError(f"starts from {source[:80]!r}, which nothing makes")
            self.sides[source] = self.given[source][1:]
            self.final.add(source)
        if source not in self.sides:
            raise ValueError(f"reads {source[:80]!r} before it is made")
        self.read.add(source)
        side = self._after(step, self.sides[source])
        for name in targets_of(step):
            if name in self.read or name in self.final or (name in self.sides and not step.adds):
                raise ValueError(f"writes {name[:80]!r} where it is made or read already")
            if self.sides.setdefault(name, side) != side:
                raise ValueError(f"adds maps of {side} to those of {self.sides[name]}")
            if not step.adds:
                self.final.add(name)
        self._shapes(step)

    def _after(self, step: Step, side: Side) -> Side:
        """Of the maps that a step writes."""
        if isinstance(step, Pool):
            Pool.check(step.window, *side)
            if step.window is not None and not 0 <= step.window[0] < step.window[1] <= step.window[2]:
                raise ValueError(f"has a window {step.window}")
            return 1, 1
        if isinstance(step, Linear) and side != (1, 1):
            raise ValueError(f"reads maps of {side} pixels instead of one")
        if isinstance(step, Convolution):
            kernel = self._shape(step, "weight")[2:3]
            if step.stride < 1 or step.padding > 16 or kernel not in ((1,), (3,), (5,), (7,)):
                raise ValueError(f"has stride {step.stride}, padding {step.padding}, kernel {kernel}")
            high, wide = ((each + 2 * step.padding - kernel[0]) // step.stride + 1 for each in side)
            if high < 1 or wide < 1:
                raise ValueError("leaves no pixel")
            return high, wide
        if isinstance(step, NodeOperation):
            if step.spec.stride < 1 or step.spec.kernel_size not in (1, 3, 5, 7):
                raise ValueError(f"has node operation {step.spec}")
            return -(-side[0] // step.spec.stride), -(-side[1] // step.spec.stride)
        return side

    def _shape(self, step: Step, leaf: str) -> tuple[int, ...]:
        values = self.program.optional(step, leaf)
        if values is None:
            raise ValueError(f"has no tensor {leaf}")
        return values.shape

    def _shapes(self, step: Step) -> None:
        """Compare the shapes of a step's tensors, and the channels of its states."""
        channels = self.program.channels
        of = channels[sources_of(step)[0]]
        to = [channels[name] for name in targets_of(step)]
        wanted: dict[str, tuple[int, ...]] = {}
        if isinstance(step, Edges):
            if list(step.sizes) != to or len(set(step.targets)) != len(to) or not to:
                raise ValueError("has targets of other sizes")
            if isinstance(step, Sum) and len(to) != 1:
                raise ValueError("has more than one target")
            edges = self._shape(step, "row")
            wanted = {"row": edges, "column": edges}
            wanted |= {"weight": edges} if isinstance(step, Messages) else {}
        elif isinstance(step, Convolution):
            if step.depthwise and to[0] != of:
                raise ValueError("is depthwise and changes the number of channels")
            kernel = self._shape(step, "weight")[2:3]
            wanted["weight"] = (to[0], 1 if step.depthwise else of, *kernel, *kernel)
        elif isinstance(step, Linear):
            wanted["weight"] = (to[0], of)
        elif isinstance(step, Channelwise) and to[0] != of:
            raise ValueError("changes the number of channels")
        if isinstance(step, (Convolution, Linear)) and self.program.optional(step, "bias") is not None:
            wanted["bias"] = (to[0],)
        if isinstance(step, NodeOperation):
            wanted["kernel"] = (of, step.spec.kernel_size, step.spec.kernel_size)
        norm = step.spec.norm if isinstance(step, NodeOperation) else getattr(step, "norm", "none")
        if norm == "batch":
            raise ValueError("has a norm that is not folded")
        if norm != "none" or isinstance(step, Norm):
            wanted |= {"scale": (of,), "shift": (of,)}
        for leaf, shape in wanted.items():
            if self._shape(step, leaf) != shape:
                raise ValueError(f"has {leaf} of shape {self._shape(step, leaf)} instead of {shape}")
            self.seen.add(f"{step.name}.{leaf}")


def bytes_of_maps(program: Program, height: int, width: int) -> int:
    """Of all states in float32, for one image of that size: more than are ever there at once."""
    shapes = program.shapes(height, width).values()
    return sum(4 * channels * high * wide for channels, high, wide in shapes)
