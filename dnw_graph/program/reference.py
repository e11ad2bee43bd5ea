"""A program run by NumPy alone: slow, and plain enough to be checked by eye."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dnw_graph.program.activations import IN_NUMPY
from dnw_graph.program.program import IMAGES, LOGITS, Array, Program, norm_of
from dnw_graph.program.steps import (
    Convolution,
    Integrate,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Repeat,
    Step,
    Sum,
)

States = dict[str, Array]
_NORMS = ("batch", "instance", "affine", "none")


def lacks(program: Program) -> str | None:
    """What of a program this cannot run; None if nothing."""
    for step in program.flat():
        if isinstance(step, Integrate):
            return "NumPy runs no continuous time, which wants a solver; use torch"
        if isinstance(step, (NodeOperation, Norm)) and (kind := norm_of(step)[0]) not in _NORMS:
            return f"NumPy knows norm {', '.join(_NORMS)}, not {kind}; use torch"
        name = step.spec.activation if isinstance(step, NodeOperation) else getattr(step, "activation", None)
        if name is not None and name not in IN_NUMPY:
            return f"NumPy knows activation {', '.join(IN_NUMPY)}, not {name}; use torch"
    return None


def evaluate(program: Program, images: Array) -> Array:
    """Images [B, C, H, W] → logits [B, classes], in the program's dtype.

    Raises ValueError for a program with steps that it lacks.
    """
    return states_of(program, images)[LOGITS][:, :, 0, 0].T


def states_of(program: Program, images: Array, initial: States | None = None) -> States:
    """All states, [channels, B, H, W], after a program has run; `initial`: some that are there before."""
    if (reason := lacks(program)) is not None:
        raise ValueError(reason)
    states = {IMAGES: np.asarray(images, dtype=program.dtype).transpose(1, 0, 2, 3)} | (initial or {})
    _run(program.steps, program, states)
    return states


def _run(steps: tuple[Step, ...], program: Program, states: States) -> None:
    for step in steps:
        if isinstance(step, Repeat):
            for _ in range(step.times):
                within = {step.state: states[step.state]}
                _run(step.steps, program, within)
                states[step.state] = within[step.result]
        else:
            _RUN[type(step)](step, program, states)


def _convolution(step: Convolution, program: Program, states: States) -> None:
    x, weight = states[step.source], program.tensor(step, "weight")
    side, channels = weight.shape[2], len(weight)
    height, width = ((n + 2 * step.padding - side) // step.stride + 1 for n in x.shape[2:])
    padded = np.pad(x, ((0, 0), (0, 0), *[(step.padding, step.padding)] * 2))
    y = np.zeros((channels, x.shape[1], height, width), dtype=program.dtype)
    for row in range(side):
        for column in range(side):
            rows = slice(row, row + step.stride * (height - 1) + 1, step.stride)
            columns = slice(column, column + step.stride * (width - 1) + 1, step.stride)
            seen, factor = padded[:, :, rows, columns], weight[:, :, row, column]
            y += (
                factor[:, :, None, None] * seen
                if step.depthwise
                else np.einsum("oc,cbyx->obyx", factor, seen)
            )
    bias = program.optional(step, "bias")
    y = y if bias is None else y + bias[:, None, None, None]
    states[step.target] = IN_NUMPY[step.activation](y)


def _node_operation(step: NodeOperation, program: Program, states: States) -> None:
    x = IN_NUMPY[step.spec.activation](_normed(step, program, states[step.source]))
    kernel, stride = program.tensor(step, "kernel"), step.spec.stride
    side, pad = step.spec.kernel_size, step.spec.kernel_size // 2
    _, _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    h = np.zeros_like(x)
    for row in range(side):
        for column in range(side):
            seen = padded[:, :, row : row + height, column : column + width]
            h += kernel[:, row, column, None, None, None] * seen
    states[step.target] = h[:, :, ::stride, ::stride]


def _norm(step: Norm, program: Program, states: States) -> None:
    states[step.target] = IN_NUMPY[step.activation](_normed(step, program, states[step.source]))


def _normed(step: NodeOperation | Norm, program: Program, z: Array) -> Array:
    kind, eps = norm_of(step)
    if kind == "none":
        return z
    if kind == "instance" and z.size:
        mean = z.mean(axis=(2, 3), keepdims=True)
        z = (z - mean) / np.sqrt(((z - mean) ** 2).mean(axis=(2, 3), keepdims=True) + eps)
    scale, shift = program.scale_shift(step)
    return z * scale[:, None, None, None] + shift[:, None, None, None]


def _messages(step: Messages, program: Program, states: States) -> None:
    h = states[step.source]
    z = np.concatenate(
        [_sum_so_far(name, size, h, states) for name, size in zip(step.targets, step.sizes, strict=True)]
    )
    row, column, weight = (program.tensor(step, name) for name in ("row", "column", "weight"))
    for v in np.unique(row):
        mine = slice(*np.searchsorted(row, (v, v + 1)))
        z[v] += np.tensordot(weight[mine], h[column[mine]], axes=1)
    for name, part in zip(step.targets, np.split(z, np.cumsum(step.sizes)[:-1]), strict=True):
        states[name] = part


def _sum(step: Sum, program: Program, states: States) -> None:
    z = _sum_so_far(step.target, step.sizes[0], states[step.source], states).copy()
    z[program.tensor(step, "row")] += states[step.source][program.tensor(step, "column")]
    states[step.target] = z


def _sum_so_far(name: str, size: int, like: Array, states: States) -> Array:
    return states[name] if name in states else np.zeros((size, *like.shape[1:]), dtype=like.dtype)


def _pool(step: Pool, program: Program, states: States) -> None:
    maps = states[step.source]
    if step.window is not None:
        step.check(step.window, *maps.shape[2:])
        first, end, _ = step.window
        maps = maps[:, :, first:end, first:end]
    states[step.target] = maps.mean(axis=(2, 3), keepdims=True)


def _linear(step: Linear, program: Program, states: States) -> None:
    weight, bias = program.tensor(step, "weight"), program.optional(step, "bias")
    y = np.einsum("oc,cbyx->obyx", weight, states[step.source])
    y = y if bias is None else y + bias[:, None, None, None]
    states[step.target] = y + states.get(step.target, 0)


_RUN: dict[type[Step], Callable[..., None]] = {
    Convolution: _convolution,
    NodeOperation: _node_operation,
    Norm: _norm,
    Messages: _messages,
    Sum: _sum,
    Pool: _pool,
    Linear: _linear,
}
