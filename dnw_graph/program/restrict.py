"""A pass: keep some channels of every state, and some edges; everything is renumbered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dnw_graph.program.liveness import Flags
from dnw_graph.program.program import Array, Program
from dnw_graph.program.steps import (
    Convolution,
    Edges,
    Integrate,
    Linear,
    NodeOperation,
    Norm,
    Repeat,
    Step,
    targets_of,
)

Ints = npt.NDArray[np.int64]


def edge_ends(program: Program, step: Step) -> tuple[Ints, Ints]:
    """(source channels, target rows) of a step's edges."""
    return program.tensor(step, "column"), program.tensor(step, "row")


def restricted(program: Program, kept: Mapping[str, Flags], edges: Mapping[str, Flags]) -> Program:
    """The program over the channels `kept` of each state.

    kept   per state [channels] bool; the same for both states of a step that works channel by channel
    edges  step name → [E] bool: which of its edges stay, of those with both ends kept; no entry: all
    """
    tensors: dict[str, Array] = {}
    steps = tuple(_step(step, program, kept, edges, tensors) for step in program.steps)
    channels = {name: int(kept[name].sum()) for name in program.channels}
    return replace(program, steps=steps, channels=channels, tensors=tensors)


def _step(
    step: Step,
    program: Program,
    kept: Mapping[str, Flags],
    edges: Mapping[str, Flags],
    tensors: dict[str, Array],
) -> Step:
    """The step as it is then; its tensors are added to `tensors`."""
    if isinstance(step, (Repeat, Integrate)):
        return replace(step, steps=tuple(_step(each, program, kept, edges, tensors) for each in step.steps))
    prefix = f"{step.name}."
    mine = {key: value for key, value in program.tensors.items() if key.startswith(prefix)}
    mine = {key: value for key, value in mine.items() if "." not in key[len(prefix) :]}
    if isinstance(step, Edges):
        rows = np.concatenate([kept[name] for name in targets_of(step)])
        source, target = edge_ends(program, step)
        stay = kept[step.source][source] & rows[target] & edges.get(step.name, True)
        mine = {key: value[stay] for key, value in mine.items()}
        for name, flags in {"column": kept[step.source], "row": rows}.items():
            mine[prefix + name] = (np.cumsum(flags) - 1)[mine[prefix + name]]
        step = replace(step, sizes=tuple(int(kept[name].sum()) for name in step.targets))
    elif isinstance(step, (Convolution, Linear)):
        mine = {key: value[kept[step.target]] for key, value in mine.items()}
        if not (isinstance(step, Convolution) and step.depthwise):
            mine[prefix + "weight"] = mine[prefix + "weight"][:, kept[step.source]]
    elif isinstance(step, (NodeOperation, Norm)):
        mine = {key: value[kept[step.target]] for key, value in mine.items()}
    tensors |= mine
    return step
