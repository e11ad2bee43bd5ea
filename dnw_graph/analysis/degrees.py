"""In- and out-degrees, level by level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dnw_graph.analysis.measure import Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.graph.layout import Ints, Level
from dnw_graph.shown import Shown


@dataclass(frozen=True, repr=False)
class Degrees(Shown):
    """Edges at each node.

    inward, outward  int64 [N]: edges that end, and that start, at the node. A carry is no edge.
    """

    inward: Ints
    outward: Ints

    @property
    def total(self) -> Ints:
        return self.inward + self.outward


def degrees_of(wiring: Wiring) -> Degrees:
    """In- and out-degree of every node.

    Source: Newman 2018, "Networks", chapter 6.
    """
    check_wiring(wiring)
    nodes = wiring.num_nodes
    return Degrees(np.bincount(wiring.target, minlength=nodes), np.bincount(wiring.source, minlength=nodes))


def in_out_correlation(degrees: Degrees, level: Level) -> float | None:
    """Pearson's correlation of in- and out-degree over the nodes of a level: do busy receivers send much?

    None where all in-degrees or all out-degrees are the same.
    Source: Newman 2018, "Networks", chapter 10 (joint degree distribution of directed networks).
    """
    here = slice(level.first, level.end)
    inward, outward = degrees.inward[here], degrees.outward[here]
    if not (np.ptp(inward) and np.ptp(outward)):
        return None
    return float(np.corrcoef(inward, outward)[0, 1])


def _summaries(wiring: Wiring) -> Numbers:
    numbers: Numbers = {}
    degrees = degrees_of(wiring)
    for level in wiring.layout.levels:
        if (correlation := in_out_correlation(degrees, level)) is not None:
            numbers[Place(level=level.index), "in_out_correlation"] = correlation
        for name, values in _directions(level, degrees):
            numbers |= {
                (Place(level=level.index), f"{name}_mean"): float(values.mean()),
                (Place(level=level.index), f"{name}_sd"): float(values.std()),
                (Place(level=level.index), f"{name}_max"): int(values.max()),
                (Place(level=level.index), f"{name}_zero"): int((values == 0).sum()),
            }
    return numbers


def _distributions(wiring: Wiring) -> Numbers:
    numbers: Numbers = {}
    degrees = degrees_of(wiring)
    for level in wiring.layout.levels:
        for name, values in _directions(level, degrees):
            for degree, nodes in zip(*np.unique(values, return_counts=True), strict=True):
                numbers[Place(level=level.index, bin=int(degree)), f"{name}_nodes"] = int(nodes)
    return numbers


def _directions(level: Level, degrees: Degrees) -> list[tuple[str, Ints]]:
    """Of a level that can receive, the in-degrees; of one that can send, the out-degrees."""
    here = slice(level.first, level.end)
    found = [("in", degrees.inward[here])] if level.index else []
    return found + ([("out", degrees.outward[here])] if level.sends else [])


DEGREES = Measure(
    "degrees",
    "Degrees: edges that end (in) and start (out) at the nodes of a level",
    {
        f"{direction}_{name}": unit
        for direction in ("in", "out")
        for name, unit in (("mean", "edges"), ("sd", "edges"), ("max", "edges"), ("zero", "nodes"))
    }
    | {"in_out_correlation": "correlation"},
    numbers=_summaries,
)

DEGREE_DISTRIBUTION = Measure(
    "degree_distribution",
    "Degree distribution: nodes of a level that have so many edges",
    {"in_nodes": "nodes", "out_nodes": "nodes"},
    bin="degree",
    numbers=_distributions,
    printed=False,
)
