"""The numbers of random graphs, beside those of a wiring."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dnw_graph.analysis.chance import Spread, spread_of
from dnw_graph.analysis.measure import Key, Measure, Numbers
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.wiring import Wiring


class Comparison:
    """Draws random graphs and measures them, once for all wirings that have the same ones.

    tell  is called with what is being done
    """

    def __init__(
        self, random: RandomGraphs, measures: Sequence[Measure], tell: Callable[[str], None]
    ) -> None:
        self._random = random
        self._measures = [measure for measure in measures if measure.numbers is not None]
        self._tell = tell
        self._done: list[tuple[Wiring, dict[str, list[Numbers]]]] = []

    def numbers(self, wiring: Wiring) -> dict[str, list[Numbers]]:
        """Per measure, its numbers of each random graph."""
        for known, numbers in self._done:
            if self._random.same_for(known, wiring):
                return numbers
        found = self._measure(wiring)
        self._done.append((wiring, found))
        return found

    def _measure(self, wiring: Wiring) -> dict[str, list[Numbers]]:
        """One graph in memory at a time."""
        found: dict[str, list[Numbers]] = {measure.name: [] for measure in self._measures}
        for number, drawn in enumerate(self._random.like(wiring), 1):
            for measure in self._measures:
                assert measure.numbers is not None
                if number <= measure.draws(self._random.draws, wiring.num_edges):
                    self._tell(f"random graph {number} of {self._random.draws}: {measure.name}")
                    found[measure.name].append(measure.numbers(drawn))
        return found


def spreads_of(numbers: Numbers, drawn: Sequence[Numbers]) -> dict[Key, Spread]:
    """Of every number that the wiring or a random graph has. What is counted by bin and missing is 0."""
    spreads = {}
    for key in dict.fromkeys([*numbers, *(key for each in drawn for key in each)]):
        if key[0].bin is None:
            values = [each[key] for each in drawn if key in each]
        else:
            values = [each.get(key, 0) for each in drawn]
        if values:
            spreads[key] = spread_of(values)
    return spreads
