"""Number and lengths of the paths from the stem to the classifier."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from dnw_graph.analysis.measure import WHOLE, Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.graph.layout import Ints, Layout
from dnw_graph.shown import Shown

# Arrays of Python ints, which do not overflow.
Exact = npt.NDArray[np.object_]


@dataclass(frozen=True, repr=False)
class Paths(Shown):
    """Exact counts, as Python ints.

    by_length  paths of 0, 1, 2, … edges
    through    per node [N]: paths that it lies on
    """

    by_length: tuple[int, ...]
    through: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.by_length)

    @property
    def mean_length(self) -> float | None:
        """In edges; None where there is no path."""
        if not self.total:
            return None
        return float(Fraction(sum(n * count for n, count in enumerate(self.by_length)), self.total))

    def share_through(self) -> npt.NDArray[np.float64]:
        """Per node, the share of all paths that it lies on, float64 [N]; 0 where there is no path."""
        total = self.total or 1
        return np.array([float(Fraction(count, total)) for count in self.through])


def paths_of(wiring: Wiring) -> Paths:
    """Count all paths from a channel of the stem to a node that the classifier reads.

    A path's length is its number of edges. The carry of a readout node adds the paths that reach its twin,
    without making them longer: it is a sum, no edge. (An edge from twin to readout node is another way.)

    Source: dynamic programming in topological order (Cormen et al., "Introduction to Algorithms"); paths
    through a node are the search path count of Hummon and Doreian 1989, Batagelj 2003 (arXiv:cs/0309023).
    """
    check_wiring(wiring)
    layout = wiring.layout
    from_stem = _from_stem(wiring)
    last = layout.levels[-1]
    ends = from_stem[last.first : last.end][wiring.read]
    by_length = [int(count) for count in ends.sum(axis=0)] if len(ends) else [0]
    while len(by_length) > 1 and not by_length[-1]:
        by_length.pop()
    onward = _to_classifier(wiring)
    through = tuple(int(count) for count in from_stem.sum(axis=1) * onward)
    return Paths(tuple(by_length), through)


def _from_stem(wiring: Wiring) -> Exact:
    """Paths from the stem to each node by length, [N, levels]."""
    layout = wiring.layout
    counts = _zeros((layout.num_nodes, len(layout.levels)))
    counts[: layout.levels[0].end, 0] = 1
    order = np.argsort(wiring.target, kind="stable")
    source, target = wiring.source[order], wiring.target[order]
    readouts, twins = _carries(layout)
    for level in layout.levels[1:]:
        mine = slice(*np.searchsorted(target, (level.first, level.end)))
        # No path to a lower level is longer than `level.index - 1` edges.
        reached, sums = _sum_by(target[mine], counts[source[mine], : level.index])
        counts[reached, 1 : level.index + 1] = sums
        here = (readouts >= level.first) & (readouts < level.end)
        counts[readouts[here]] += counts[twins[here]]
    return counts


def _to_classifier(wiring: Wiring) -> Exact:
    """Paths from each node to the classifier, [N]."""
    layout = wiring.layout
    counts = _zeros((layout.num_nodes,))
    counts[layout.levels[-1].first :][wiring.read] = 1
    order = np.argsort(wiring.source, kind="stable")
    source, target = wiring.source[order], wiring.target[order]
    readouts, twins = _carries(layout)
    for level in reversed(layout.levels[:-1]):
        mine = slice(*np.searchsorted(source, (level.first, level.end)))
        reached, sums = _sum_by(source[mine], counts[target[mine]])
        counts[reached] = sums
        here = (twins >= level.first) & (twins < level.end)
        counts[twins[here]] += counts[readouts[here]]
    return counts


def _sum_by(group: Ints, values: Exact) -> tuple[Ints, Exact]:
    """group [E], ascending; values [E, …] → (the groups, the sum of each)."""
    groups, starts = np.unique(group, return_index=True)
    if not len(groups):
        return groups, values
    return groups, np.add.reduceat(values, starts, axis=0)


def _carries(layout: Layout) -> tuple[Ints, Ints]:
    """(readout nodes, their twins)"""
    twins = layout.carried_from()
    (readouts,) = np.nonzero(twins >= 0)
    return readouts, twins[readouts]


def _zeros(shape: tuple[int, ...]) -> Exact:
    counts: Exact = np.empty(shape, dtype=object)
    counts.fill(0)
    return counts


def _numbers(wiring: Wiring) -> Numbers:
    paths = paths_of(wiring)
    numbers: Numbers = {}
    for length, count in enumerate(paths.by_length):
        if count:
            numbers[Place(bin=length), "paths"] = count
            numbers[Place(bin=length), "share"] = float(Fraction(count, paths.total))
    numbers[WHOLE, "paths"] = paths.total
    if paths.mean_length is not None:
        numbers[WHOLE, "mean_length"] = paths.mean_length
    return numbers


PATHS = Measure(
    "paths",
    "Paths from stem to classifier, by their number of edges",
    {"paths": "paths", "share": "share", "mean_length": "edges"},
    bin="length",
    numbers=_numbers,
)
