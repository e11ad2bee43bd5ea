"""The order of work in a stage: which level sends when, which rows hear it, and who starts from whom.

For the levels 0 … n of a stage with states z and activations h, turn i = 0 … n − 1 is

    h_i = node operation of z_i
    z_n = z_n + the last `start` nodes of z_i          (turns with a start only: the last one)
    z_j = z_j + Σ w_uv · h_u                           for the levels j that hear level i

Everything that runs, counts or exports a stage reads this: the program, the fused stage of training and
its gradients (the turns in reverse), and the tables of the C kernels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

# The fields of `Schedule.flat`, as torch's operators declare them.
SCHEMA = "SymInt[] sizes, SymInt[] targets, SymInt start"


@dataclass(frozen=True)
class Turn:
    """One sending level's turn.

    level       that sends, from 0
    size        its number of nodes
    hears       levels that hear it, all of those from the next one up to some level
    targets     nodes of these levels; the rows of its block of candidates
    start       the last so many of its states are what the states of the last level start from; 0: none
    nodes       the level's rows among all sending levels
    states      its rows among the levels between the first and the last; level 0 has none
    later       rows of the levels after it there
    last        whether the last level hears it
    candidates  its block in the stage's flat parameter
    """

    level: int
    size: int
    hears: tuple[int, ...]
    targets: int
    start: int
    nodes: slice
    states: slice
    later: slice
    last: bool
    candidates: slice


@dataclass(frozen=True)
class Schedule:
    """A stage in plain numbers, as the stage operator is given them.

    sizes    nodes of each level, the last one included
    targets  per sending level, the nodes that hear it: those of all later levels, or of all but the last
    start    the last level's states start from so many last states of the level before; 0: from nothing
    """

    sizes: tuple[int, ...]
    targets: tuple[int, ...]
    start: int = 0

    def flat(self) -> tuple[list[int], list[int], int]:
        """As torch's operators are given it, in the order of `SCHEMA`."""
        return list(self.sizes), list(self.targets), self.start

    @staticmethod
    def of(flat: Sequence[Any]) -> Schedule:
        """The schedule that `flat` is of."""
        sizes, targets, start = flat
        return Schedule(tuple(sizes), tuple(targets), start)

    @property
    def turns(self) -> tuple[Turn, ...]:
        """In the order in which they run. ValueError if the targets are not those of later levels."""
        return _turns(self)


@lru_cache(maxsize=256)
def _turns(schedule: Schedule) -> tuple[Turn, ...]:
    bounds = [0, *accumulate(schedule.sizes)]
    final = len(schedule.sizes) - 1
    inner, last = bounds[1], bounds[-2]
    turns: list[Turn] = []
    for level, targets in enumerate(schedule.targets):
        first, end = bounds[level], bounds[level + 1]
        if targets not in (bounds[-1] - end, last - end):
            raise ValueError(
                f"level {level} has {targets} targets, not those of the levels after it: {schedule.sizes}"
            )
        is_last = targets == bounds[-1] - end
        offset = turns[-1].candidates.stop if turns else 0
        turns.append(
            Turn(
                level=level,
                size=end - first,
                hears=tuple(range(level + 1, final + is_last)),
                targets=targets,
                start=schedule.start if level == final - 1 else 0,
                nodes=slice(first, end),
                states=slice(max(0, first - inner), end - inner),
                later=slice(end - inner, last - inner),
                last=is_last,
                candidates=slice(offset, offset + (end - first) * targets),
            )
        )
    return tuple(turns)
