"""The steps of a program: what each reads and writes, its tensors, and its equation.

States are feature maps by name, [channels, B, H, W]. A state is the sum of what steps add to it, and 0 before
the first of them. `Messages`, `Sum` and `Linear` add; the other steps set their target once.

A step's numbers are tensors of the program, by the step's name: `program.tensor(step, "kernel")`. Several
steps of one name share them. C, S, T: channels of the source, of one target, rows of all targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dnw_graph.graph.node_spec import Activation, NodeSpec, NormKind


@dataclass(frozen=True)
class Step:
    """name: whose tensors it has;  part: of the network that it belongs to: stem, stage_0 …, head."""

    name: str
    part: str

    # Whether it adds to its targets, or sets them.
    adds: ClassVar[bool] = False


@dataclass(frozen=True)
class Convolution(Step):
    """target = activation(weight ∗ source + bias), an ordinary convolution of the stem.

    Tensors: weight [C', C, k, k], or [C, 1, k, k] if depthwise; bias [C'], may be missing.
    """

    source: str
    target: str
    stride: int = 1
    padding: int = 0
    depthwise: bool = False
    activation: Activation = "identity"


@dataclass(frozen=True)
class NodeOperation(Step):
    """target = kernel ∗ activation(norm(source)), each channel by itself.

    level  that sends, within its stage
    Tensors: kernel [C, k, k], and those of the norm (see `Norm`).
    """

    source: str
    target: str
    spec: NodeSpec
    level: int = 0


@dataclass(frozen=True)
class Norm(Step):
    """target = activation(norm(source)).

    Tensors: norm_weight, norm_bias [C]; norm batch: norm_mean, norm_var [C] too. In programs whose norms are
    folded: scale, shift [C] instead (norm instance: after mean 0 and variance 1).
    """

    source: str
    target: str
    norm: NormKind
    eps: float = 1e-5
    activation: Activation = "identity"


@dataclass(frozen=True)
class Edges(Step):
    """Adds to rows of its targets what channels of the source give them, along edges.

    targets, sizes  states that hear, and their channels; edges count rows through all of them
    Tensors: column (source channel), row [E] int64, ascending by row, then column.
    """

    source: str
    targets: tuple[str, ...]
    sizes: tuple[int, ...]

    adds: ClassVar[bool] = True


@dataclass(frozen=True)
class Messages(Edges):
    """target_v = target_v + Σ weight_uv · source_u, over the edges (u, v).

    level  that sends, within its stage; the targets are the levels after it
    Tensors, besides those of `Edges`: weight [E]; id [E] int64, positions in the stage's parameter, may be
    missing.
    """

    level: int = 0


@dataclass(frozen=True)
class Sum(Edges):
    """target_v = target_v + source_u, over the edges (u, v): maps as they are, and no multiplication.

    One target; no row twice.
    """

    @property
    def target(self) -> str:
        return self.targets[0]


@dataclass(frozen=True)
class Pool(Step):
    """target = mean of source over pixels: all of them, or those of a window.

    window  (first, end, side): rows and columns first … end − 1 of maps that have to be side × side
    """

    source: str
    target: str
    window: tuple[int, int, int] | None = None

    @staticmethod
    def check(window: tuple[int, int, int] | None, height: int, width: int) -> None:
        """Raise ValueError for maps of another size than the window's."""
        if window is not None and (height, width) != (window[2], window[2]):
            side = window[2]
            raise ValueError(
                f"the readout maps are {height}×{width}, not {side}×{side}; "
                "give images of the network's own size"
            )


@dataclass(frozen=True)
class Linear(Step):
    """target = target + weight · source + bias, on maps of one pixel.

    Tensors: weight [C', C]; bias [C'], may be missing.
    """

    adds: ClassVar[bool] = True

    source: str
    target: str


@dataclass(frozen=True)
class Repeat(Step):
    """state = result of `steps`, `times` times over: the graph of one evaluation in discrete time."""

    state: str
    result: str
    times: int
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Integrate(Step):
    """state(1) of ∂state/∂t = result of `steps` (state), from state(0) at t = 0.

    Solver dopri5 of torchdiffeq with steps by error; a batch is one system, so that a result depends on its
    batch mates.
    tolerance  relative and absolute
    clip       before each evaluation, the state that the solver hands over is set to max(0, state) in place:
               the side effect of the 2019 code's in-place ReLU
    """

    state: str
    result: str
    steps: tuple[Step, ...]
    tolerance: float = 1e-3
    clip: bool = False


Channelwise = (NodeOperation, Norm, Pool)
OneTarget = (Convolution, NodeOperation, Norm, Sum, Pool, Linear)
Flat = (*OneTarget, Messages)
Evaluations = (Repeat, Integrate)


def sources_of(step: Step) -> tuple[str, ...]:
    """States that a step reads; those that it only adds to are not among them."""
    if isinstance(step, Evaluations):
        return (step.state,)
    return (step.source,) if isinstance(step, Flat) else ()


def targets_of(step: Step) -> tuple[str, ...]:
    """States that a step writes."""
    if isinstance(step, Edges):
        return step.targets
    if isinstance(step, Evaluations):
        return (step.state,)
    return (step.target,) if isinstance(step, OneTarget) else ()
