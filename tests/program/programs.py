"""Random programs made by hand, not lowered from a network, and the ways to run a program."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from dnw_graph.engine.engine import Plan
from dnw_graph.engine.plan_steps import plan_of
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.inference.by_steps import BySteps, ConstantPart
from dnw_graph.program.activations import IN_NUMPY
from dnw_graph.program.fold import folded
from dnw_graph.program.layers import Choice
from dnw_graph.program.program import IMAGES, LOGITS, Program
from dnw_graph.program.reference import states_of
from dnw_graph.program.split import split
from dnw_graph.program.steps import (
    Convolution,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Repeat,
    Sum,
)

SHARES = st.sampled_from([0.0, 0.1, 0.3, 0.6, 1.0])


class Maker:
    """Adds steps one after the other; `state` is the last that was made."""

    def __init__(self, draw: st.DrawFn, *, plain: bool) -> None:
        self.draw, self.plain = draw, plain
        self.random = np.random.default_rng(draw(st.integers(0, 2**31), "seed"))
        self.steps, self.channels, self.tensors = [], {IMAGES: 3}, {}
        self.count, self.stage, self.state = 0, 0, IMAGES
        self.image_size = self.side = draw(st.integers(3, 7), "side")

    def new(self, kind: str, channels: int) -> str:
        self.count += 1
        self.channels[name := f"{kind}{self.count}"] = channels
        return name

    def named(self, kind: str) -> str:
        self.count += 1
        return f"{kind}_{self.count}"

    def normal(self, *shape: int):
        return self.random.normal(size=shape)

    def keep(self, step, **tensors):
        self.tensors |= {f"{step.name}.{name}": values for name, values in tensors.items()}
        return step

    def stride(self) -> int:
        """1 or 2, so that maps stay larger than one pixel: torch norms no map of a single one."""
        stride = self.draw(st.integers(1, 2 if self.side > 2 else 1))
        self.side = -(-self.side // stride)
        return stride

    # Single steps

    def convolution(self, channels: int) -> None:
        source, target = self.state, self.new("z", channels)
        stride = self.stride()
        activation = self.draw(st.sampled_from(["identity", "relu"]))
        step = Convolution(self.named("conv"), "stem", source, target, stride, 1, activation=activation)
        self.steps.append(self.keep(step, weight=self.normal(channels, self.channels[source], 3, 3)))
        if self.draw(st.booleans()):
            self.keep(step, bias=self.normal(channels))
        self.state = target

    def norm_tensors(self, step, kind: str, channels: int):
        if kind == "affine":
            return self.keep(step, scale=self.normal(channels), shift=self.normal(channels))
        if kind != "none":
            self.keep(step, norm_weight=self.normal(channels), norm_bias=self.normal(channels))
        if kind == "batch":
            var = 0.5 + abs(self.normal(channels))
            self.keep(step, norm_mean=self.normal(channels), norm_var=var)
        return step

    def norm(self, part: str, source: str, kinds=("batch", "instance", "affine", "none"), activations=None):
        channels = self.channels[source]
        kind, activation = (
            self.draw(st.sampled_from(each)) for each in (kinds, activations or ("identity", "relu"))
        )
        step = Norm(self.named("norm"), part, source, self.new("y", channels), kind, 1e-3, activation)
        return self.norm_tensors(step, kind, channels)

    def operation(self, part: str, source: str, kinds, stride: int, level: int = 0):
        channels = self.channels[source]
        spec = NodeSpec(
            self.draw(st.sampled_from(kinds)),
            "relu" if self.plain else self.draw(st.sampled_from(list(IN_NUMPY))),
            3 if self.plain else self.draw(st.sampled_from([1, 3, 5])),
            stride,
            1e-3,
        )
        step = NodeOperation(self.named("op"), part, source, self.new("h", channels), spec, level)
        self.norm_tensors(step, spec.norm, channels)
        return self.keep(step, kernel=self.normal(channels, spec.kernel_size, spec.kernel_size))

    def messages(self, part: str, source: str, targets, level: int = 0):
        sizes = tuple(self.channels[name] for name in targets)
        chosen = self.random.random((sum(sizes), self.channels[source])) < self.draw(SHARES)
        row, column = np.nonzero(chosen)
        step = Messages(self.named("edges"), part, source, tuple(targets), sizes, level)
        return self.keep(step, row=row, column=column, weight=self.normal(row.size))

    def start(self, part: str, source: str, target: str):
        size = self.channels[target]
        pairs = self.draw(st.integers(0, min(size, self.channels[source])))
        of, to = (self.random.permutation(n)[:pairs] for n in (self.channels[source], size))
        step = Sum(self.named("start"), part, source, (target,), (size,))
        return self.keep(step, column=np.sort(of), row=np.sort(to))

    # Pieces of networks

    def levels(self) -> None:
        """A stage of up to three levels, the last of which may start from the one before."""
        part, self.stage = f"stage_{self.stage}", self.stage + 1
        count = self.draw(st.integers(1, 3), "levels")
        states = [self.state] + [self.new("z", self.draw(st.integers(1, 5))) for _ in range(count)]
        kinds = ("batch", "instance", "affine") if self.plain else ("batch", "instance", "affine", "none")
        for level, source in enumerate(states[:-1]):
            stride = self.stride() if level == 0 else 1
            operation = self.operation(part, source, kinds, stride, level)
            self.steps.append(operation)
            if count > 1 and level == count - 1 and self.draw(st.booleans()):
                self.steps.append(self.start(part, source, states[-1]))
            self.steps.append(self.messages(part, operation.target, states[level + 1 :], level))
        self.state = states[-1]

    def repeated(self) -> None:
        """A graph that is applied several times, normalised after its messages."""
        part, self.stage = f"stage_{self.stage}", self.stage + 1
        kinds = ("instance", "affine") if self.plain else ("none",)
        operation = self.operation(part, self.state, kinds, 1)
        sums = self.new("z", self.channels[self.state])
        messages = self.messages(part, operation.target, [sums])
        steps, result = [operation, messages], sums
        if not self.plain:
            norm = self.norm(part, sums, ("instance", "batch", "none"), ("identity",))
            steps, result = [*steps, norm], norm.target
        times = self.draw(st.integers(1, 4), "times")
        self.steps.append(Repeat(self.named("repeat"), part, self.state, result, times, tuple(steps)))

    def normed(self) -> None:
        step = self.norm("head", self.state)
        self.steps.append(step)
        self.state = step.target

    def readout(self) -> None:
        target = self.new("z", self.draw(st.integers(1, 4)))
        self.steps.append(self.start("head", self.state, target))
        # At least one pair, so that the state is there.
        self.tensors[f"{self.steps[-1].name}.column"] = np.array([0])
        self.tensors[f"{self.steps[-1].name}.row"] = np.array([self.channels[target] - 1])
        self.state = target

    def head(self) -> None:
        classes = self.draw(st.integers(1, 3))
        if self.plain:
            step = self.norm("head", self.state, ("batch", "affine"), ("relu",))
            self.steps.append(step)
            self.state = step.target
        pooled = self.new("pooled", self.channels[self.state])
        self.steps.append(Pool(self.named("pool"), "head", self.state, pooled))
        self.channels[LOGITS] = classes
        if self.draw(st.booleans(), "wired classifier"):
            self.steps.append(self.messages("head", pooled, [LOGITS]))
            return
        step = Linear(self.named("linear"), "head", pooled, LOGITS)
        weight = self.normal(classes, self.channels[pooled])
        self.steps.append(self.keep(step, weight=weight, bias=self.normal(classes)))


@st.composite
def programs(draw: st.DrawFn, *, plain: bool = False) -> Program:
    """Stem, stages, repeated graphs and norms in any order, head; float64.

    plain  with the node operations, norms and heads that the C engine runs, too
    """
    maker = Maker(draw, plain=plain)
    maker.convolution(draw(st.integers(1, 4), "stem"))
    pieces = [maker.levels, maker.repeated] + ([] if plain else [maker.normed, maker.readout])
    for piece in draw(st.lists(st.sampled_from(pieces), min_size=1, max_size=3), "pieces"):
        piece()
    maker.head()
    return Program(tuple(maker.steps), maker.channels, maker.tensors, maker.image_size)


def images_for(program: Program, count: int = 2):
    """[count, 3, S, S] float64"""
    side = program.image_size
    return np.random.default_rng(5).normal(size=(count, 3, side, side))


# Ways to run


def by_numpy_split(program: Program, images, fold: bool = False):
    """The live part after the constant part; → logits [B, classes]"""
    live, constant = split(program)
    given = {}
    if constant is not None:
        constant = folded(constant) if fold else constant
        made = states_of(constant, np.zeros_like(images[:1]))
        senders = [name for name in live.channels if name.startswith("from constants")]
        given = {name: np.repeat(made[name], len(images), axis=1) for name in senders}
    found = states_of(folded(live) if fold else live, images, given)
    return found[LOGITS][:, :, 0, 0].T


def by_torch(program: Program, images, backend: str):
    """All steps at once, or only those that are not split off; → logits [B, classes]"""
    return BySteps(program, Choice(backend)).logits(torch.from_numpy(images), {}).numpy()


def by_torch_split(program: Program, images, backend: str):
    live, constant = split(program)
    given = ConstantPart(constant)(torch.from_numpy(np.zeros_like(images[:1])))
    return BySteps(live, Choice(backend)).logits(torch.from_numpy(images), given).numpy()


def by_engine(program: Program, images):
    """In one call of C, float32; → logits [B, classes], MACs of the whole batch"""
    live, constant = split(program)
    given = ConstantPart(constant)(torch.from_numpy(np.zeros_like(images[:1])))
    maps = {name: values.numpy().astype(np.float32) for name, values in given.items()}
    plan = Plan(plan_of(folded(live), maps, images.shape[1:]), program.channels[LOGITS])
    return plan.run(images.astype(np.float32), torch.get_num_threads())


def relative(a, b):
    """max|a − b| / max|b|, or over 1 if that is larger: random logits may be next to nothing."""
    assert a.shape == b.shape
    return np.abs(a - b).max(initial=0) / max(1.0, np.abs(b).max(initial=0))
