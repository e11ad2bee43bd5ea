"""Which parts of a program the C engine cannot run."""

from __future__ import annotations

from dnw_graph.program.program import IMAGES, LOGITS, Program
from dnw_graph.program.steps import (
    Convolution,
    Edges,
    Integrate,
    Linear,
    NodeOperation,
    Norm,
    Pool,
    Repeat,
    Step,
    sources_of,
    targets_of,
)

_STRIDES, _WINDOW = (1, 2), (2, 4, 8)


def lacks(program: Program) -> str | None:
    """What the engine lacks to run a program without `Repeat` and with folded norms; None if nothing."""
    makers = {name: step for step in program.steps for name in targets_of(step)}
    for step in program.steps:
        if (reason := _lack(step, program, makers)) is not None:
            return reason
    ends = [step for step in program.steps if LOGITS in targets_of(step) and step.part != "constants"]
    pools = [step for step in program.steps if isinstance(step, Pool)]
    if len(ends) != 1 or len(pools) != 1 or sources_of(ends[0]) != (pools[0].target,):
        return "a classifier other than one pooling and one linear or wired layer"
    return None


def _lack(step: Step, program: Program, makers: dict[str, Step]) -> str | None:
    if isinstance(step, (Integrate, Repeat)):
        return "a solver for continuous time" if isinstance(step, Integrate) else "repeated steps"
    if isinstance(step, NodeOperation):
        spec = step.spec
        known = (
            spec.norm in ("affine", "instance", "none")
            and spec.activation == "relu"
            and spec.kernel_size == 3
        )
        return None if known and spec.stride in _STRIDES else f"the node operation ({spec})"
    if isinstance(step, Convolution):
        return None if _knows(step, program, makers) else f"the convolution {step.name}"
    if isinstance(step, Norm):
        readers = [each for each in program.steps if step.target in sources_of(each)]
        pool = readers[0] if len(readers) == 1 else None
        active = "relu" if isinstance(pool, Pool) and pool.window is None else "identity"
        known = isinstance(pool, Pool) and step.norm in ("affine", "instance") and step.activation == active
        return None if known else f"the norm {step.name} where it stands"
    if isinstance(step, Pool):
        if step.window is None:
            return None if isinstance(makers[step.source], Norm) else "pooling of all pixels without a norm"
        return None if step.window == _WINDOW else f"the pooling window {step.window}"
    return None if isinstance(step, (Edges, Linear)) else f"{type(step).__name__} steps"


def _knows(step: Convolution, program: Program, makers: dict[str, Step]) -> bool:
    side, plain = program.tensor(step, "weight").shape[2], step.activation == "identity"
    if side == 1:
        return (
            plain and not step.depthwise and (step.stride, step.padding) == (1, 0) and step.source != IMAGES
        )
    if (side, step.padding) != (3, 1) or step.stride not in _STRIDES:
        return False
    if step.source == IMAGES:
        return step.activation in ("identity", "relu") and not step.depthwise
    made = makers.get(step.source)
    return plain and step.depthwise and isinstance(made, Convolution) and made.activation == "relu"
