"""Which channels of every state, and which edges, matter: from the steps alone.

A channel is reached if it depends on the images, and used if the logits depend on it. Both: it is live. Used
only: it is constant, the same map for every image. Evaluations of a repeated graph are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnw_graph.program.steps import (
    Channelwise,
    Convolution,
    Edges,
    Integrate,
    Linear,
    Repeat,
    Step,
    sources_of,
    targets_of,
)

Flags = npt.NDArray[np.bool_]
Ends = Callable[[Step], tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]
"""(source channels, target rows) of a step's edges."""


@dataclass(frozen=True)
class Reach:
    """Per state [channels] bool: depends on the images; the logits depend on it."""

    reached: dict[str, Flags]
    used: dict[str, Flags]

    def live(self, state: str) -> Flags:
        return self.reached[state] & self.used[state]

    def constant(self, state: str) -> Flags:
        return self.used[state] & ~self.reached[state]


def reach(
    steps: tuple[Step, ...],
    channels: Mapping[str, int],
    ends: Ends,
    inputs: Mapping[str, Flags],
    outputs: Mapping[str, Flags],
) -> Reach:
    """Which channels are reached from `inputs` and used by `outputs`; steps without `Repeat`."""
    reached: dict[str, Flags] = {name: np.zeros(count, dtype=bool) for name, count in channels.items()}
    used = {name: flags.copy() for name, flags in reached.items()}
    reached |= {name: flags.copy() for name, flags in inputs.items()}
    used |= {name: flags.copy() for name, flags in outputs.items()}
    for step in steps:
        _forward(step, reached, ends)
    for step in reversed(steps):
        _backward(step, used, ends)
    return Reach(reached, used)


def _forward(step: Step, flags: dict[str, Flags], ends: Ends) -> None:
    """Mark what a step's marked sources reach."""
    if isinstance(step, Edges):
        source, row = ends(step)
        hit = np.zeros(sum(flags[name].size for name in targets_of(step)), dtype=bool)
        hit[row[flags[step.source][source]]] = True
        _mark(targets_of(step), hit, flags)
    elif isinstance(step, Integrate):
        # A solver chooses its steps by all images together, so that no state is the same map for each.
        for name in {name for each in step.steps for name in (*sources_of(each), *targets_of(each))}:
            flags[name][:] = True
    else:
        assert not isinstance(step, Repeat)
        _carry_over(step, sources_of(step), targets_of(step), flags)


def _backward(step: Step, flags: dict[str, Flags], ends: Ends) -> None:
    """Mark what a step's marked targets depend on."""
    if isinstance(step, Edges):
        source, row = ends(step)
        wanted = np.concatenate([flags[name] for name in targets_of(step)])
        flags[step.source][source[wanted[row]]] = True
    elif isinstance(step, Integrate):
        before = -1
        while before != (before := int(flags[step.state].sum())):
            flags[step.result] |= flags[step.state]
            for each in reversed(step.steps):
                _backward(each, flags, ends)
    else:
        _carry_over(step, targets_of(step), sources_of(step), flags)


def _carry_over(step: Step, known: tuple[str, ...], other: tuple[str, ...], flags: dict[str, Flags]) -> None:
    """Channel by channel, or from any channel to every one."""
    (a,), (b,) = known, other
    if isinstance(step, Channelwise) or (isinstance(step, Convolution) and step.depthwise):
        flags[b] |= flags[a]
    else:
        assert isinstance(step, (Convolution, Linear))
        flags[b] |= flags[a].any()


def _mark(names: tuple[str, ...], rows: Flags, flags: dict[str, Flags]) -> None:
    first = 0
    for name in names:
        end = first + flags[name].size
        flags[name] |= rows[first:end]
        first = end


def origin(state: str) -> str:
    """The state of which `z0@3` is the one in evaluation 3."""
    return state.partition("@")[0]


def tied(steps: tuple[Step, ...]) -> dict[str, str]:
    """State → a name that states share which are the same channels at other times of the network.

    Those before and after a step that works channel by channel, and those of all evaluations.
    """
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while parent.setdefault(name, name) != name:
            name = parent[name]
        return name

    for step in steps:
        for name in (*sources_of(step), *targets_of(step)):
            parent[root(name)] = root(origin(name))
        inner = step.steps if isinstance(step, Integrate) else ()
        for each in (step, *inner):
            if isinstance(each, Integrate):
                parent[root(each.state)] = root(each.result)
            elif isinstance(each, Channelwise) or (isinstance(each, Convolution) and each.depthwise):
                parent[root(each.source)] = root(each.target)
    return {name: root(name) for name in parent}


def kept_together(steps: tuple[Step, ...], flags: Mapping[str, Flags]) -> dict[str, Flags]:
    """Per state, the channels that are flagged in it or in a state tied to it."""
    names = tied(steps)
    union: dict[str, Flags] = {}
    for state, own in flags.items():
        if (root := names.get(state)) is not None:
            union[root] = union[root] | own if root in union else own
    return {state: union[names[state]] if state in names else own for state, own in flags.items()}
