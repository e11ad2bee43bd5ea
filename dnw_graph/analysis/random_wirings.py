"""Random graphs of equal budget: what a wiring is compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dnw_graph.analysis.wiring import Wiring, wiring_from_ids


def random_wirings(wiring: Wiring, draws: int, seed: int = 0) -> Iterator[Wiring]:
    """Wirings with as many edges in each stage, drawn uniformly from the same candidates.

    Draw number i depends on the seed, i and the budgets, not on how many draws are made.

    Source: Wortsman, Farhadi, Rastegari 2019, section 4 (random graph baseline); as a null model of networks,
    Erdős and Rényi 1959, "On random graphs I" (fixed number of edges).
    """
    stages = wiring.layout.stages
    for number in range(draws):
        generator = np.random.default_rng([seed, number])
        ids = [
            generator.choice(stage.num_candidates, budget, replace=False, shuffle=False)
            for stage, budget in zip(stages, wiring.budgets, strict=True)
        ]
        yield wiring_from_ids(wiring.layout, ids, wiring.read)
