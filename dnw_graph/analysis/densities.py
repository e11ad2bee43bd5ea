"""How densely each pair of levels is joined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dnw_graph.analysis.measure import Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.graph.layout import Ints, Layout
from dnw_graph.shown import Shown


@dataclass(frozen=True, repr=False)
class Densities(Shown):
    """Per pair of levels (row sends, column receives), int64 [levels, levels].

    edges       of the wiring
    candidates  edges that could exist
    """

    edges: Ints
    candidates: Ints

    @property
    def density(self) -> npt.NDArray[np.float64]:
        """Edges per candidate, NaN where there is no candidate."""
        shape = self.edges.shape
        return np.divide(self.edges, self.candidates, out=np.full(shape, np.nan), where=self.candidates > 0)


def densities_of(wiring: Wiring) -> Densities:
    """Edges and candidate edges from each level to each level.

    Source: density, Newman 2018, "Networks", chapter 6; per pair of groups as in block models, Holland,
    Laskey, Leinhardt 1983, "Stochastic blockmodels: first steps".
    """
    check_wiring(wiring)
    levels = len(wiring.layout.levels)
    pair = wiring.level[wiring.source] * levels + wiring.level[wiring.target]
    edges = np.bincount(pair, minlength=levels**2).reshape(levels, levels)
    return Densities(edges, candidate_pairs(wiring.layout))


def candidate_pairs(layout: Layout) -> Ints:
    """Candidate edges from each level (row) to each level (column), int64 [levels, levels]."""
    levels = len(layout.levels)
    candidates = np.zeros((levels, levels), dtype=np.int64)
    for stage in layout.stages:
        for sender, block in zip(stage.levels, stage.blocks, strict=False):
            for receiver in stage.levels:
                if block.target <= receiver.first < block.target + block.num_targets:
                    candidates[sender.index, receiver.index] = sender.size * receiver.size
    return candidates


def _numbers(wiring: Wiring) -> Numbers:
    found = densities_of(wiring)
    numbers: Numbers = {}
    for source, target in zip(*np.nonzero(found.candidates), strict=True):
        place = Place(level=int(source), to_level=int(target))
        numbers[place, "edges"] = int(found.edges[source, target])
        numbers[place, "candidates"] = int(found.candidates[source, target])
        numbers[place, "density"] = float(found.density[source, target])
    return numbers


DENSITIES = Measure(
    "densities",
    "Densities: edges from level to level, and their share of the candidates",
    {"edges": "edges", "candidates": "edges", "density": "share"},
    numbers=_numbers,
    alone=frozenset({"candidates"}),
)
