"""A pass: leave out what no logit needs, and set apart what is the same for every image.

The live part has live channels and live edges only; its cost is the exact count. The constant part is a
program of its own, run once per size of images on an image of zeros; what it sends to live channels are the
states `from constants: z`, from which the live part's states start.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from dnw_graph.program.fold import without_leftovers
from dnw_graph.program.liveness import Flags, Reach, kept_together, reach
from dnw_graph.program.program import IMAGES, LOGITS, Array, Program
from dnw_graph.program.restrict import edge_ends, restricted
from dnw_graph.program.steps import (
    Channelwise,
    Convolution,
    Edges,
    Integrate,
    Linear,
    Step,
    Sum,
    sources_of,
    targets_of,
)
from dnw_graph.program.unroll import unrolled

_PREFIX = "from constants: "


def from_constants(program: Program) -> tuple[str, ...]:
    """Names of the states in which constant channels send to live ones."""
    return tuple(name for name in program.channels if name.startswith(_PREFIX))


def reach_of(program: Program) -> Reach:
    """Which channels of a program without `Repeat` the images reach, and which the logits use."""
    every = {name: np.ones(program.channels[name], dtype=bool) for name in (IMAGES, LOGITS)}
    found = reach(
        program.steps,
        program.channels,
        lambda step: edge_ends(program, step),
        {IMAGES: every[IMAGES]},
        {LOGITS: every[LOGITS]},
    )
    # Every image gets logits, even if they are the same for all.
    found.reached[LOGITS][:] = True
    return found


def split(program: Program) -> tuple[Program, Program | None]:
    """(live part, constant part or None if no live channel hears a constant one); both without `Repeat`."""
    program = unrolled(program)
    found = reach_of(program)
    live = live_channels(program, found)
    run = _live_edges(program, found)
    part, constant = restricted(program, live, run), _constant_part(program, found, live, run)
    if constant is None:
        return part, None
    steps, channels, tensors = list(part.steps), dict(part.channels), dict(part.tensors)
    for name in from_constants(constant):
        target, count = name.removeprefix(_PREFIX), constant.channels[name]
        steps.insert(0, Sum(name, "constants", name, (target,), (count,)))
        channels[name] = count
        tensors |= {f"{name}.column": np.arange(count), f"{name}.row": np.arange(count)}
    return replace(part, steps=tuple(steps), channels=channels, tensors=tensors), constant


def live_channels(program: Program, found: Reach) -> dict[str, Flags]:
    """Per state, the channels that run: live in it, or in a state of the same nodes."""
    live = kept_together(program.steps, {name: found.live(name) for name in program.channels})
    return live | {IMAGES: np.ones(program.channels[IMAGES], dtype=bool)}


def _live_edges(program: Program, found: Reach) -> dict[str, Flags]:
    """Step name → which of its edges run: those that are live in some evaluation."""
    run: dict[str, Flags] = {}
    for step in program.flat():
        if isinstance(step, Edges):
            source, row = edge_ends(program, step)
            used = np.concatenate([found.used[name] for name in step.targets])
            both = found.reached[step.source][source] & used[row]
            run[step.name] = run[step.name] | both if step.name in run else both
    return run


def _constant_part(
    program: Program, found: Reach, live: Mapping[str, Flags], run: Mapping[str, Flags]
) -> Program | None:
    """Constant channels, and what they send to live ones."""
    kept = {name: found.constant(name) for name in program.channels}
    kept[IMAGES] = np.ones(program.channels[IMAGES], dtype=bool)
    for step in program.steps:
        if isinstance(step, Channelwise) or (isinstance(step, Convolution) and step.depthwise):
            kept[step.target] = kept[step.source]
    steps: list[Step] = []
    tensors: dict[str, Array] = {}
    channels, edges = dict(program.channels), {}
    for place, step in enumerate(program.steps):
        if isinstance(step, Integrate):
            # What a solver makes is never constant.
            continue
        # Evaluations share tensors, of which each keeps others here.
        own = replace(step, name=f"{place}: {step.name}")
        steps.append(own)
        tensors |= _tensors_of(program, step, own.name)
        if isinstance(step, (Edges, Linear)) and kept[step.source].any():
            sender = _to_live(step, f"{place}: {step.name} to live")
            steps.append(sender)
            tensors |= _tensors_of(program, step, sender.name, leave_out="bias")
            if isinstance(step, Linear):
                # A node that is live in another evaluation runs in the live part, constant here or not.
                weight = tensors[f"{sender.name}.weight"]
                tensors[f"{sender.name}.weight"] = np.where(live[step.source], 0, weight)
            else:
                edges[sender.name] = ~run[step.name]
            for name, new in zip(targets_of(step), targets_of(sender), strict=True):
                kept[new], channels[new] = live[name], program.channels[name]
    whole = Program(tuple(steps), channels, tensors, program.image_size)
    return _needed(restricted(whole, kept, edges))


def _to_live(step: Edges | Linear, name: str) -> Step:
    if isinstance(step, Edges):
        return replace(step, name=name, targets=tuple(_PREFIX + target for target in step.targets))
    return replace(step, name=name, target=_PREFIX + step.target)


def _tensors_of(program: Program, step: Step, name: str, leave_out: str = "") -> dict[str, Array]:
    """A step's tensors under another step's name."""
    found = (key.rpartition(".") for key in program.tensors)
    return {
        f"{name}.{leaf}": program.tensors[f"{owner}.{leaf}"]
        for owner, _, leaf in found
        if owner == step.name and leaf != leave_out
    }


def _needed(program: Program) -> Program | None:
    """Only senders that send something, and the steps that they need; None if nothing is left."""
    steps: list[Step] = []
    wanted: set[str] = set()
    for step in reversed(program.steps):
        to_live = any(name.startswith(_PREFIX) for name in targets_of(step))
        if to_live:
            sends = program.tensor(step, "row" if isinstance(step, Edges) else "weight").size
        if (to_live and sends) or wanted & set(targets_of(step)):
            steps.append(step)
            wanted |= {*sources_of(step)}
    if not steps:
        return None
    return without_leftovers(replace(program, steps=tuple(reversed(steps))))
