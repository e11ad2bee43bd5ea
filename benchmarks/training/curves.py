"""Whether contenders learn the same: their first losses, and one step at a time from the same state.

Losses drift apart once rounding lets another of two nearly equal edges into the wiring. Two more things are
therefore measured: how far `dense` goes from itself when the last bit of its weights changes, and each of its
steps done by `auto` from the same state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.training.contenders import Batch, Contender, contender, differing

NUDGED = "dense, last bits changed"
# These may be too slow to run for it.
_SLOW = ("dgl", "csr")
_LAST_BIT = 2.0**-23


def curves(each: dict[str, Contender], network: str, batch: int, steps: int) -> dict[str, Any]:
    """The first losses of every contender, and how far they are from those of `dense`.

    from_dense  largest relative difference, of the losses
    together    steps from the first on whose losses differ by less than 1e-4
    edges       of the wiring that `dense` has not, where both have taken as many steps
    """
    compared = {name: one for name, one in each.items() if name not in _SLOW or len(one.losses) >= steps}
    if "dense" in compared:
        compared[NUDGED] = nudged(network, batch, compared["dense"].batches)
    for one in compared.values():
        while len(one.losses) < steps:
            one.step()
    found: dict[str, Any] = {"losses": {name: one.losses[:steps] for name, one in compared.items()}}
    found |= {"from_dense": {}, "together": {}, "edges": {}}
    if "dense" not in compared:
        return found
    dense = compared["dense"]
    for name, one in compared.items():
        pairs = zip(one.losses[:steps], dense.losses[:steps], strict=True)
        away = [abs(a - b) / abs(b) for a, b in pairs]
        found["from_dense"][name] = max(away)
        found["together"][name] = next((n for n, far in enumerate(away) if far >= 1e-4), steps)
        if len(one.losses) == len(dense.losses):
            found["edges"][name] = {
                "steps": len(one.losses),
                "edges": differing(one.learner, dense.learner),
            }
    return found


def nudged(network: str, batch: int, batches: Sequence[Batch]) -> Contender:
    """`dense`, with every candidate weight a rounding error away."""
    made = contender("dense", network, batch, batches)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for wired in made.learner.model.body_stages():
            sign = torch.randint(0, 2, wired.weight.shape, generator=generator)
            wired.weight *= 1 + _LAST_BIT * (2 * sign - 1)
    return made


def one_by_one(network: str, batch: int, batches: Sequence[Batch], steps: int) -> dict[str, Any]:
    """Each step of `dense` done by `auto` too, from the same weights and wiring.

    loss, gradient  largest relative difference over all steps; of each parameter's gradient, relative to its
                    largest entry (at least 1e-4 of the largest of all: some gradients are 0 but for rounding)
    """
    dense, auto = (contender(name, network, batch, batches) for name in ("dense", "auto"))
    loss = gradient = 0.0
    worst = ""
    for _ in range(steps):
        auto.learner.model.load_state_dict(dense.learner.model.state_dict())
        dense.step()
        auto.step()
        loss = max(loss, abs(auto.losses[-1] - dense.losses[-1]) / abs(dense.losses[-1]))
        theirs = {name: each.grad for name, each in dense.learner.model.named_parameters()}
        least = 1e-4 * max(float(each.abs().max()) for each in theirs.values())
        for name, parameter in auto.learner.model.named_parameters():
            largest = max(least, float(theirs[name].abs().max()))
            away = float((parameter.grad - theirs[name]).abs().max()) / largest
            if away > gradient:
                gradient, worst = away, name
    return {"steps": steps, "loss": loss, "gradient": gradient, "worst": worst}
