"""A pass: write every evaluation of a `Repeat` out, so that all steps are flat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dnw_graph.program.program import Program
from dnw_graph.program.steps import Edges, Repeat, Step, sources_of, targets_of


def unrolled(program: Program) -> Program:
    """The same network without `Repeat`. Evaluation t has states `z0@t`, `h0@t` …; tensors are shared."""
    steps, channels = unrolled_steps(program.steps, program.channels)
    return replace(program, steps=steps, channels=channels)


def unrolled_steps(
    steps: tuple[Step, ...], channels: Mapping[str, int]
) -> tuple[tuple[Step, ...], dict[str, int]]:
    """Steps without `Repeat`, and the channels of all their states."""
    flat: list[Step] = []
    known = dict(channels)
    names: dict[str, str] = {}
    done: dict[str, int] = {}
    for step in steps:
        if not isinstance(step, Repeat):
            flat.append(renamed(step, names))
            continue
        # One graph after another may be applied to the same state.
        first = done.get(step.state, 0)
        done[step.state] = first + step.times
        for time in range(first, first + step.times):
            # What an evaluation writes is its own; what it reads was written last.
            for each in step.steps:
                read = {name: names.get(name, name) for name in sources_of(each)}
                written = {
                    # The result is the state of the next evaluation.
                    name: f"{step.state}@{time + 1}" if name == step.result else f"{name}@{time}"
                    for name in targets_of(each)
                }
                flat.append(renamed(each, read | written))
                names |= written
                known |= {new: channels[old] for old, new in written.items()}
            names[step.state] = names[step.result]
    return tuple(flat), known


def renamed(step: Step, names: Mapping[str, str]) -> Step:
    """A flat step with other names for states."""
    if isinstance(step, Edges):
        targets = tuple(names.get(name, name) for name in step.targets)
        return replace(step, source=names.get(step.source, step.source), targets=targets)
    own = {field: getattr(step, field) for field in ("source", "target", "state") if hasattr(step, field)}
    changes: dict[str, Any] = {field: names[state] for field, state in own.items() if state in names}
    return replace(step, **changes) if changes else step
