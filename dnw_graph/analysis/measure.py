"""How a measure gives its numbers: a value for each place and quantity."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from dnw_graph.analysis.wiring import Wiring


class Place(NamedTuple):
    """What a number is about; all None: the whole wiring.

    bin  what else the measure counts by: a degree, a length, a rank, an epoch …
    """

    stage: int | None = None
    level: int | None = None
    to_level: int | None = None
    bin: int | None = None


WHOLE = Place()

Key = tuple[Place, str]
"""Where, and which quantity."""

# Exact integers stay Python ints, however large.
Numbers = dict[Key, int | float]


@dataclass(frozen=True)
class Measure:
    """One group of numbers.

    units    unit of each quantity, in the order of the table's columns
    bin      what `Place.bin` is here; empty: it is not used
    numbers  of one wiring; None for measures that take something else (turnover, overlap)
    random   whether to compute the same of random graphs of equal budget
    alone    quantities for which that means nothing all the same
    work     edges that it can take on in all graphs together; where they are large, fewer are drawn
    printed  whether it is shown as a table; long distributions are for files only
    """

    name: str
    title: str
    units: Mapping[str, str]
    bin: str = ""
    numbers: Callable[[Wiring], Numbers] | None = None
    random: bool = True
    alone: frozenset[str] = frozenset()
    work: int | None = None
    printed: bool = True

    def draws(self, wanted: int, edges: int) -> int:
        """How many of the wanted random graphs to look at, each of so many edges."""
        if not self.random or self.work is None:
            return wanted if self.random else 0
        return min(wanted, max(0, self.work // max(edges, 1) - 1))
