"""Since when the edges of each stored wiring have been in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnw_graph.analysis.stored import StoredWirings, stored_wirings
from dnw_graph.errors import InputError
from dnw_graph.figures.subject import Subject
from dnw_graph.graph.layout import Ints


@dataclass(frozen=True)
class Cohorts:
    """Edges of each stored wiring by the epoch in which they entered for the last time.

    epochs   of the stored wirings, int64 [n]
    since    int64 [n, n]: row, the wiring; column, the first wiring of an unbroken row that they are in
    in_last  int64 [n]: edges of each wiring that are in the last one too
    """

    epochs: Ints
    since: Ints
    in_last: Ints

    @property
    def edges(self) -> Ints:
        """Edges of each wiring."""
        return self.since.sum(axis=1)

    @property
    def entered(self) -> Ints:
        """Edges that were not in the wiring stored before; 0 of the first one."""
        return np.concatenate([[0], np.diagonal(self.since)[1:]])


def cohorts_of(stored: StoredWirings, stages: Sequence[int]) -> Cohorts:
    """Counted over some stages."""
    count = len(stored.epochs)
    since, in_last = np.zeros((count, count), dtype=np.int64), np.zeros(count, dtype=np.int64)
    for stage in stages:
        birth = np.full(stored.layout.stages[stage].num_candidates, -1, dtype=np.int64)
        last = np.zeros(len(birth), dtype=bool)
        last[stored.ids[-1][stage]] = True
        for row, ids in enumerate(wirings[stage] for wirings in stored.ids):
            kept = birth[ids]
            birth[:] = -1
            birth[ids] = np.where(kept < 0, row, kept)
            since[row] += np.bincount(birth[ids], minlength=count)
            in_last[row] += int(last[ids].sum())
    return Cohorts(np.array(stored.epochs, dtype=np.int64), since, in_last)


def changes_of(subject: Subject, kind: str) -> tuple[StoredWirings, Cohorts]:
    """The stored wirings of a run, and since when the edges of the drawn stages have been in them.

    Raises InputError, for the figure `kind`, if there are not several wirings, or if they are all the same.
    """
    stored = _several(subject, kind)
    cohorts = cohorts_of(stored, [stage.index for stage in subject.stages])
    if not cohorts.entered.any():
        rule = subject.graph.attributes.get("rule", "unknown")
        raise InputError(
            f"{subject.run}: no edge ever entered its wiring (rule {rule}), so --kind {kind} has no "
            "change to show; give a run whose rule rewires"
        )
    return stored, cohorts


def _several(subject: Subject, kind: str) -> StoredWirings:
    if subject.run is None:
        raise InputError(
            f"--kind {kind} shows how a wiring changed over training, and {subject.name} holds one wiring; "
            "give a run directory"
        )
    stored = stored_wirings(subject.run, subject.layout)
    if len(stored.epochs) < 2:
        raise InputError(
            f"{subject.run}: has one stored wiring, of epoch {stored.epochs[0]}, and --kind {kind} needs two "
            "or more; train for an epoch"
        )
    return stored
