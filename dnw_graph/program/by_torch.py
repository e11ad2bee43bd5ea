"""Steps run by torch, one after the other: the visible meaning, in training and in inference.

What a step does to features is done by a layer of the step's name: a module of the network, or one made of a
program's tensors (`dnw_graph.program.layers`). This file only runs them in order, on the right states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dnw_graph.program.steps import (
    Integrate,
    Messages,
    OneTarget,
    Repeat,
    Step,
    Sum,
    sources_of,
    targets_of,
)

Layers = Mapping[str, Callable[..., Tensor]]


class States:
    """Feature maps by name, each [channels, B, H, W]; absent: not yet written, that is 0."""

    def __init__(self, maps: Mapping[str, Tensor]) -> None:
        self._maps = dict(maps)
        self._sent: tuple[tuple[str, ...], Tensor | None] = (), None

    def __getitem__(self, name: str) -> Tensor:
        return self._maps[name]

    def get(self, name: str) -> Tensor | None:
        """The maps, or None if there are none yet."""
        return self._maps.get(name)

    def put(self, name: str, maps: Tensor) -> None:
        if name in self._sent[0]:
            self._sent = (), None
        self._maps[name] = maps

    def drop(self, names: Sequence[str]) -> None:
        """Forget maps that nothing reads any more."""
        for name in names:
            self._maps.pop(name, None)

    def rows(self, names: tuple[str, ...], sizes: tuple[int, ...], like: Tensor) -> Tensor | None:
        """Maps of several states, one below the other; None if there are none. like: maps of that size."""
        if not sum(sizes) or not any(name in self._maps for name in names):
            return None
        known, rows = self._sent
        if rows is not None and known[len(known) - len(names) :] == names:
            # The first levels that heard the last messages have sent by now; the others lie together still.
            return rows[rows.shape[0] - sum(sizes) :]
        parts = [self._maps.get(name) for name in names]
        zeros = [like.new_zeros(size, *like.shape[1:]) for size in sizes]
        return torch.cat([zero if part is None else part for part, zero in zip(parts, zeros, strict=True)])

    def put_rows(self, names: tuple[str, ...], sizes: tuple[int, ...], rows: Tensor) -> None:
        for name, part in zip(names, rows.split(list(sizes)), strict=True):
            self._maps[name] = part
        self._sent = names, rows


def run(
    steps: Sequence[Step],
    states: States,
    layers: Layers,
    keep: Sequence[str] = (),
    unread: Sequence[tuple[str, ...]] | None = None,
) -> States:
    """Run the steps; maps that no later step reads are forgotten, except those of `keep`.

    layers  per step name: of `Messages`, (h, base or None) → rows of all targets; of `Sum` and `Linear`,
            (source, target so far or None) → target; of the others, source → target
    unread  what `last_reads` gives, where the same steps run often
    """
    unread = last_reads(steps, keep) if unread is None else unread
    for step, done in zip(steps, unread, strict=True):
        _run_one(step, states, layers)
        states.drop(done)
    return states


def _run_one(step: Step, states: States, layers: Layers) -> None:
    if isinstance(step, Messages):
        h = states[step.source]
        base = states.rows(step.targets, step.sizes, h)
        states.put_rows(step.targets, step.sizes, layers[step.name](h, base))
    elif isinstance(step, Repeat):
        z = states[step.state]
        for _ in range(step.times):
            z = _evaluated(step, z, layers)
        states.put(step.state, z)
    elif isinstance(step, Integrate):
        states.put(step.state, _solved(step, states[step.state], layers))
    else:
        assert isinstance(step, OneTarget)
        source, target = step.source, step.target
        if isinstance(step, Sum) and states.get(source) is None:
            # What constant channels send is 0 everywhere.
            return
        if step.adds:
            states.put(target, layers[step.name](states[source], states.get(target)))
        else:
            states.put(target, layers[step.name](states[source]))


def _evaluated(step: Repeat | Integrate, z: Tensor, layers: Layers) -> Tensor:
    """One evaluation of the graph, state → result."""
    return run(step.steps, States({step.state: z}), layers, [step.result])[step.result]


def _solved(step: Integrate, z: Tensor, layers: Layers) -> Tensor:
    # Imported here, so that networks without continuous time do not wait for it.
    from torchdiffeq import odeint

    def derivative(time: Tensor, z: Tensor) -> Tensor:
        return _evaluated(step, z.relu_() if step.clip else z, layers)

    times: Any = torch.tensor([0.0, 1.0], dtype=torch.float64, device=z.device)
    if z.dtype != torch.float64:
        times = times.to(torch.float32)
    # Clipping in place changes the solver's own state, as in 2019; the caller's must stay.
    start = z.clone() if step.clip else z
    found = odeint(derivative, start, times, rtol=step.tolerance, atol=step.tolerance, method="dopri5")
    assert isinstance(found, Tensor)
    return found[-1]


def last_reads(steps: Sequence[Step], keep: Sequence[str]) -> list[tuple[str, ...]]:
    """Per step, the states that nothing reads after it."""
    kept, result = set(keep), []
    for step in reversed(steps):
        touched = {*sources_of(step), *targets_of(step)} - kept
        result.append(tuple(sorted(touched)))
        kept |= touched
    return result[::-1]
