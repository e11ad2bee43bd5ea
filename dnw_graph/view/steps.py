"""A program on its way into the page, which evaluates it in plain JavaScript."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from dnw_graph.program.cost import cost
from dnw_graph.program.program import Program, norm_of
from dnw_graph.program.reference import lacks
from dnw_graph.program.steps import NodeOperation, Norm, Repeat, Step
from dnw_graph.view.arrays import Array, smallest

MOST_MACS = 2_000_000_000
"""A network with more is left out: the page would compute for over ten seconds."""

# Positions of candidates are nothing that a step computes with.
_NOT_NEEDED = ("id",)


def steps_of(
    program: Program | None, missing: str
) -> tuple[list[dict[str, Any]] | None, str, dict[str, Array]]:
    """(steps, why there are none, their tensors).

    A step is its fields and `kind`; tensors are arrays called "step/NAME.tensor", those of norms folded to
    scale and shift.
    """
    if program is None:
        return None, missing, {}
    if (reason := lacks(program)) is not None:
        return None, f"the page evaluates what NumPy does: {reason}", {}
    if (macs := cost(program).macs) > MOST_MACS:
        return None, f"an image takes {macs:,} multiply-accumulates, too many for a page", {}
    arrays: dict[str, Array] = {}
    steps = [_step(each, program, arrays) for each in program.steps]
    return steps, "", arrays


def _step(step: Step, program: Program, arrays: dict[str, Array]) -> dict[str, Any]:
    kind = {"kind": type(step).__name__}
    if isinstance(step, Repeat):
        within = [_step(each, program, arrays) for each in step.steps]
        return kind | {"state": step.state, "result": step.result, "times": step.times, "steps": within}
    tensors = {
        key.removeprefix(f"{step.name}."): values
        for key, values in program.tensors.items()
        if key.rpartition(".")[0] == step.name
    }
    if isinstance(step, (NodeOperation, Norm)):
        tensors = {key: values for key, values in tensors.items() if not key.startswith("norm_")}
        if norm_of(step)[0] != "none":
            tensors["scale"], tensors["shift"] = program.scale_shift(step)
    for leaf, values in tensors.items():
        if leaf not in _NOT_NEEDED:
            is_float = values.dtype.kind == "f"
            arrays[f"step/{step.name}.{leaf}"] = values.astype(np.float32) if is_float else smallest(values)
    fields = {name: value for name, value in asdict(step).items() if name not in ("part", "level")}
    return kind | {**fields, **fields.pop("spec", {})}
