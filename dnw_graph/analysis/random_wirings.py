"""Random graphs of equal budget: what a wiring is compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from dnw_graph.analysis.densities import densities_of
from dnw_graph.analysis.wiring import Wiring, wiring_from_ids
from dnw_graph.arguments import expect, one_of
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Ints, Stage

Keep = Literal["stages", "pairs"]


@dataclass(frozen=True)
class RandomGraphs:
    """How random graphs are drawn.

    draws  how many
    keep   "stages": as many edges in each stage, the budget that a random network of this size has;
           "pairs": as many from each level to each level, to see what densities alone do not explain

    Draw number i depends on the seed, i and the numbers kept, not on how many draws are made.
    Raises InputError for a negative number, or another `keep`.

    Source: Wortsman, Farhadi, Rastegari 2019, section 4 (random graph baseline); as null models of networks,
    Erdős and Rényi 1959, "On random graphs I", and Holland, Laskey, Leinhardt 1983, "Stochastic blockmodels:
    first steps".
    """

    draws: int = 10
    seed: int = 0
    keep: Keep = "stages"

    def __post_init__(self) -> None:
        for name in ("draws", "seed"):
            expect(getattr(self, name), int, name, "a whole number from 0 on")
        if self.draws < 0:
            raise InputError(f"{self.draws} random graphs cannot be drawn; give 0 or more")
        if self.seed < 0:
            raise InputError(f"seed {self.seed} of the random graphs is negative; give 0 or more")
        one_of(self.keep, get_args(Keep), "keep")

    def like(self, wiring: Wiring) -> Iterator[Wiring]:
        """Wirings of as many edges, drawn uniformly from the same candidates."""
        edges = densities_of(wiring).edges
        for number in range(self.draws):
            generator = np.random.default_rng([self.seed, number])
            ids = []
            for stage, budget in zip(wiring.layout.stages, wiring.budgets, strict=True):
                if self.keep == "stages":
                    ids.append(_draw(generator, stage.num_candidates, budget))
                else:
                    ids.append(_draw_pairs(generator, stage, edges))
            yield wiring_from_ids(wiring.layout, ids, wiring.read)

    def same_for(self, one: Wiring, other: Wiring) -> bool:
        """Whether two wirings of one network have the same random graphs."""
        if self.keep == "stages":
            kept = one.budgets == other.budgets
        else:
            kept = bool((densities_of(one).edges == densities_of(other).edges).all())
        return kept and bool((one.read == other.read).all())


def _draw_pairs(generator: np.random.Generator, stage: Stage, edges: Ints) -> Ints:
    """edges int64 [levels, levels] → as many candidate ids of each pair of the stage's levels."""
    ids = []
    for position, sender in enumerate(stage.levels):
        for receiver in stage.levels[position + 1 :]:
            wanted = int(edges[sender.index, receiver.index])
            row, column = np.divmod(_draw(generator, receiver.size * sender.size, wanted), sender.size)
            ids.append(stage.ids(sender.first + column, receiver.first + row))
    return np.concatenate(ids)


def _draw(generator: np.random.Generator, candidates: int, wanted: int) -> Ints:
    return generator.choice(candidates, wanted, replace=False, shuffle=False)
