"""Passes: norms become scale and shift, and disappear into a neighbour where that is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dnw_graph.program.program import Array, Program, mapped
from dnw_graph.program.steps import (
    Convolution,
    NodeOperation,
    Norm,
    Step,
    Sum,
    sources_of,
    targets_of,
)


def folded(program: Program) -> Program:
    """Batch norms as scale and shift, those right after a convolution inside of it.

    A norm that a node operation without one reads, and nothing else, becomes the node operation's. One that
    only a sum reads is taken of the channels that it adds, alone.
    """
    inside = _norms_into_operations(_norms_into_convolutions(_as_scale_and_shift(program)))
    return _norms_behind_sums(inside)


def _as_scale_and_shift(program: Program) -> Program:
    tensors = dict(program.tensors)
    change: dict[Step, Step] = {}
    for step in program.flat():
        if not isinstance(step, (NodeOperation, Norm)):
            continue
        scale, shift = program.scale_shift(step)
        for name in ("norm_weight", "norm_bias", "norm_mean", "norm_var"):
            tensors.pop(f"{step.name}.{name}", None)
        if isinstance(step, NodeOperation):
            if step.spec.norm == "none":
                continue
            if step.spec.norm == "batch":
                change[step] = replace(step, spec=replace(step.spec, norm="affine"))
        elif step.norm == "batch":
            change[step] = replace(step, norm="affine")
        tensors[f"{step.name}.scale"], tensors[f"{step.name}.shift"] = scale, shift
    return replace(program, steps=mapped(program.steps, change), tensors=tensors)


def _norms_into_convolutions(program: Program) -> Program:
    steps, tensors = list(program.steps), dict(program.tensors)
    for conv in [step for step in steps if isinstance(step, Convolution)]:
        readers = [step for step in steps if conv.target in sources_of(step)]
        if len(readers) != 1 or conv.activation != "identity":
            continue
        (norm,) = readers
        if not isinstance(norm, Norm) or norm.norm != "affine":
            continue
        scale, shift = tensors.pop(f"{norm.name}.scale"), tensors.pop(f"{norm.name}.shift")
        bias = tensors.get(f"{conv.name}.bias")
        tensors[f"{conv.name}.weight"] = tensors[f"{conv.name}.weight"] * scale.reshape(-1, 1, 1, 1)
        tensors[f"{conv.name}.bias"] = shift if bias is None else bias * scale + shift
        merged = replace(conv, target=norm.target, activation=norm.activation)
        steps = [merged if step is conv else step for step in steps if step is not norm]
    return _with_steps(program, tuple(steps), tensors)


def _norms_into_operations(program: Program) -> Program:
    """z → norm → y → node operation without norm, as one node operation z → h."""
    steps, tensors = list(program.steps), dict(program.tensors)
    for norm in [step for step in steps if isinstance(step, Norm) and step.activation == "identity"]:
        readers = [step for step in steps if norm.target in sources_of(step)]
        if len(readers) != 1 or not isinstance(readers[0], NodeOperation):
            continue
        operation = readers[0]
        if operation.spec.norm != "none":
            continue
        spec = replace(operation.spec, norm=norm.norm, eps=norm.eps)
        # Evaluations share the tensors of a name, and not all of them take in the same norm.
        name = f"{operation.name} after {norm.name}"
        tensors |= {f"{name}.{each}": tensors[f"{norm.name}.{each}"] for each in ("scale", "shift")}
        tensors[f"{name}.kernel"] = tensors[f"{operation.name}.kernel"]
        merged = replace(operation, name=name, source=norm.source, spec=spec)
        steps = [merged if step is operation else step for step in steps if step is not norm]
    return _with_steps(program, tuple(steps), tensors)


def _norms_behind_sums(program: Program) -> Program:
    """z → norm → y → sum → x as z → sum → raw x → norm → x, where nothing else reads y or writes to x."""
    steps, channels, tensors = list(program.steps), dict(program.channels), dict(program.tensors)
    for norm in [step for step in steps if isinstance(step, Norm)]:
        readers = [step for step in steps if norm.target in sources_of(step)]
        added = readers[0] if len(readers) == 1 else None
        if not isinstance(added, Sum):
            continue
        source, to = (tensors[f"{added.name}.{name}"] for name in ("column", "row"))
        alone = sum(added.target in targets_of(step) for step in steps) == 1
        if not alone or not np.array_equal(to, np.arange(*added.sizes)):
            continue
        raw = f"{added.target}, not normed"
        later = replace(norm, name=f"{norm.name} of {added.target}", source=raw, target=added.target)
        names = {key.rpartition(".")[2]: key for key in tensors if key.rpartition(".")[0] == norm.name}
        tensors |= {f"{later.name}.{leaf}": tensors[key][source] for leaf, key in names.items()}
        (channels[raw],) = added.sizes
        moved: list[Step] = [replace(added, source=norm.source, targets=(raw,)), later]
        steps = [each for step in steps if step is not norm for each in (moved if step is added else [step])]
    return _with_steps(replace(program, channels=channels), tuple(steps), tensors)


def _with_steps(program: Program, steps: tuple[Step, ...], tensors: dict[str, Array]) -> Program:
    """Without the states and tensors that no step has any more."""
    made = replace(program, steps=steps, tensors=tensors)
    return without_leftovers(made)


def without_leftovers(program: Program) -> Program:
    """Without the tensors of steps that are gone, and states that no step touches."""
    names = {step.name for step in program.flat()}
    tensors = {key: value for key, value in program.tensors.items() if key.rpartition(".")[0] in names}
    known = set()
    for step in program.flat():
        known |= {
            getattr(step, field) for field in ("source", "target", "state", "result") if hasattr(step, field)
        }
        known |= set(getattr(step, "targets", ()))
    known |= {"images", "logits"}
    channels = {name: count for name, count in program.channels.items() if name in known}
    return replace(program, tensors=tensors, channels=channels)
