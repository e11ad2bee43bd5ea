"""How a wiring changes over training."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from dnw_graph.analysis.chance import Spread, common_by_chance
from dnw_graph.analysis.measure import WHOLE, Key, Measure, Numbers, Place
from dnw_graph.analysis.stored import StoredWirings
from dnw_graph.arguments import expect
from dnw_graph.graph.layout import Ints
from dnw_graph.shown import Shown


@dataclass(frozen=True, repr=False)
class Turnover(Shown):
    """Changes between stored wirings, over all stages; int64, one entry per stored epoch but the first.

    epochs     which
    edges      in the wiring at the end of the epoch
    entered    edges in it that were not in the stored wiring before
    left       edges of the stored wiring before that are not in it
    returned   those of `entered` that were in a still earlier stored wiring
    remaining  edges of the first stored wiring that are in it
    ages       of each edge of the last wiring, int64 [E]: epochs from the stored wiring in which it appeared,
               to be in all later ones, to the last; 0 if it entered in the last epoch
    """

    epochs: Ints
    edges: Ints
    entered: Ints
    left: Ints
    returned: Ints
    remaining: Ints
    ages: Ints


def turnover_of(stored: StoredWirings) -> Turnover:
    """Changes from one stored wiring to the next.

    They are net changes: an edge that leaves and comes back within an epoch is not seen, whereas `swaps` in
    metrics.jsonl counts every entry at every step.
    """
    expect(stored, StoredWirings, "stored", "what stored_wirings gives")
    stages = [_stage(stored, stage.index) for stage in stored.layout.stages]
    columns = np.sum(stages, axis=0, dtype=np.int64).reshape(-1, 5).T
    (ages,) = deque(ages_by_epoch(stored), maxlen=1)
    edges, entered, left, returned, remaining = columns
    epochs = np.array(stored.epochs[1:], dtype=np.int64)
    return Turnover(epochs, edges, entered, left, returned, remaining, ages)


def _stage(stored: StoredWirings, stage: int) -> list[list[int]]:
    """[edges, entered, left, returned, remaining] of each epoch but the first."""
    wirings = [epoch[stage] for epoch in stored.ids]
    seen = np.zeros(stored.layout.stages[stage].num_candidates, dtype=np.bool_)
    seen[wirings[0]] = True
    rows = []
    for before, now in pairwise(wirings):
        entered = np.setdiff1d(now, before, assume_unique=True)
        left = np.setdiff1d(before, now, assume_unique=True)
        remaining = np.intersect1d(wirings[0], now, assume_unique=True)
        rows.append([len(now), len(entered), len(left), int(seen[entered].sum()), len(remaining)])
        seen[entered] = True
    return rows


def ages_by_epoch(stored: StoredWirings) -> Iterator[Ints]:
    """For every stored epoch, the ages of its wiring's edges, as `Turnover.ages` has them for the last."""
    expect(stored, StoredWirings, "stored", "what stored_wirings gives")
    since = [np.full(stage.num_candidates, -1, dtype=np.int64) for stage in stored.layout.stages]
    for epoch, wiring in zip(stored.epochs, stored.ids, strict=True):
        for stage, entries in zip(stored.layout.stages, since, strict=True):
            now = wiring[stage.index]
            appeared = np.full_like(entries, -1)
            appeared[now] = np.where(entries[now] < 0, epoch, entries[now])
            entries[:] = appeared
        yield epoch - np.concatenate([entries[entries >= 0] for entries in since])


def remaining_by_chance(stored: StoredWirings) -> list[Spread]:
    """For every stored epoch but the first: `remaining` if its wiring were drawn anew at random."""
    stages = stored.layout.stages
    return [
        common_by_chance(
            (len(stored.ids[0][stage.index]), len(now[stage.index]), stage.num_candidates) for stage in stages
        )
        for now in stored.ids[1:]
    ]


def turnover_numbers(stored: StoredWirings) -> tuple[Numbers, dict[Key, Spread]]:
    """(per epoch, which is the bin; what chance gives for some of them)"""
    found = turnover_of(stored)
    numbers: Numbers = {}
    chances: dict[Key, Spread] = {}
    for row, chance in enumerate(remaining_by_chance(stored)):
        place, edges = Place(bin=int(found.epochs[row])), max(int(found.edges[row]), 1)
        for name in ("entered", "left", "returned", "remaining"):
            numbers[place, name] = int(getattr(found, name)[row])
        for name in ("entered", "remaining"):
            numbers[place, f"{name}_share"] = int(getattr(found, name)[row]) / edges
        chances[place, "remaining"] = chance
        chances[place, "remaining_share"] = Spread(chance.mean / edges, (chance.sd or 0.0) / edges)
    return numbers, chances


def age_numbers(stored: StoredWirings) -> Numbers:
    """Edges of the last wiring by age; the bin is the age in epochs."""
    ages = turnover_of(stored).ages
    numbers: Numbers = {}
    for age, edges in zip(*np.unique(ages, return_counts=True), strict=True):
        numbers[Place(bin=int(age)), "edges"] = int(edges)
        numbers[Place(bin=int(age)), "share"] = int(edges) / len(ages)
    if len(ages):
        numbers[WHOLE, "mean_age"] = float(ages.mean())
    return numbers


TURNOVER = Measure(
    "turnover",
    "Turnover: edges at the end of an epoch against the stored epoch before",
    {
        "entered": "edges",
        "entered_share": "share",
        "left": "edges",
        "returned": "edges",
        "remaining": "edges",
        "remaining_share": "share",
    },
    bin="epoch",
)

AGES = Measure(
    "ages",
    "Ages: edges of the last stored wiring, by the epochs that they have been in it without a break",
    {"edges": "edges", "share": "share", "mean_age": "epochs"},
    bin="age",
)
