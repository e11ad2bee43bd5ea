"""Nodes that are far busier than chance makes them, and how unevenly the edges are shared."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dnw_graph.analysis.degrees import degrees_of
from dnw_graph.analysis.densities import candidate_pairs
from dnw_graph.analysis.measure import WHOLE, Measure, Numbers, Place
from dnw_graph.analysis.paths import paths_of
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.graph.status import Flags
from dnw_graph.shown import Shown

CHANCE = 0.01
"""At most this likely has a level of a random graph any node that counts as a hub."""

RANKS = 10
"""Number of busiest nodes that are listed."""


@dataclass(frozen=True, repr=False)
class Hubs(Shown):
    """Which nodes have too many edges for a random graph of equal budget, bool [N] each.

    inward, outward  by their in-degree, by their out-degree
    """

    inward: Flags
    outward: Flags


def hubs_of(wiring: Wiring) -> Hubs:
    """Nodes whose degree beats chance: n · P(degree ≥ d) ≤ 1 % in a level of n nodes.

    P is of a random graph with the same number of edges in the stage. There the degree of a node with c
    candidate edges is hypergeometric: of the stage's candidates c are its own, and k are drawn. The factor n
    is Bonferroni's: at most 1 % of all random graphs have any such node in this level.

    Source: this package's definition; hubs as nodes of unusual degree, Newman 2018, "Networks", chapter 10.
    """
    check_wiring(wiring)
    degrees = degrees_of(wiring)
    found = Hubs(np.zeros(wiring.num_nodes, dtype=bool), np.zeros(wiring.num_nodes, dtype=bool))
    pairs = candidate_pairs(wiring.layout)
    for stage, budget in zip(wiring.layout.stages, wiring.budgets, strict=True):
        members = [level.index for level in stage.levels]
        here = pairs[np.ix_(members, members)]
        for position, level in enumerate(stage.levels):
            nodes = slice(level.first, level.end)
            for flags, degree, candidates in (
                (found.inward, degrees.inward, here[:, position].sum()),
                (found.outward, degrees.outward, here[position].sum()),
            ):
                if candidates:
                    least = _least(stage.num_candidates, int(candidates) // level.size, budget, level.size)
                    flags[nodes] = degree[nodes] >= least
    return found


@lru_cache(maxsize=4096)
def _least(candidates: int, own: int, drawn: int, nodes: int) -> int:
    """The smallest degree d with nodes · P(degree ≥ d) ≤ CHANCE."""
    # It takes a second to import.
    from scipy.stats import hypergeom

    return int(hypergeom.isf(CHANCE / nodes, candidates, own, drawn)) + 1


def top_share(degree: npt.NDArray[np.int64], percent: int) -> float:
    """Share of all edge ends that are at the busiest `percent` of the nodes (rounded up). degree int64 [N]"""
    count = -(-len(degree) * percent // 100)
    return float(np.sort(degree)[-count:].sum() / max(int(degree.sum()), 1))


def _numbers(wiring: Wiring) -> Numbers:
    hubs, degrees = hubs_of(wiring), degrees_of(wiring)
    numbers: Numbers = {}
    for level in wiring.layout.levels:
        here = slice(level.first, level.end)
        numbers[Place(level=level.index), "in_hubs"] = int(hubs.inward[here].sum())
        numbers[Place(level=level.index), "out_hubs"] = int(hubs.outward[here].sum())
    numbers[WHOLE, "in_hubs"] = int(hubs.inward.sum())
    numbers[WHOLE, "out_hubs"] = int(hubs.outward.sum())
    for percent in (1, 10):
        numbers[WHOLE, f"top_{percent}_percent_share"] = top_share(degrees.total, percent)
    return numbers


def _busiest(wiring: Wiring) -> Numbers:
    degrees, share = degrees_of(wiring), paths_of(wiring).share_through()
    numbers: Numbers = {}
    # Among equals, the lowest number first.
    for rank, node in enumerate(np.argsort(-degrees.total, kind="stable")[:RANKS].tolist(), 1):
        for name, values in (
            ("node", range(wiring.num_nodes)),
            ("node_level", wiring.level),
            ("degree", degrees.total),
            ("in_degree", degrees.inward),
            ("out_degree", degrees.outward),
        ):
            numbers[Place(bin=rank), name] = int(values[node])
        numbers[Place(bin=rank), "path_share"] = float(share[node])
    return numbers


HUBS = Measure(
    "hubs",
    "Hubs: nodes with more edges than any node of their level has in a random graph (99 % sure)",
    {
        "in_hubs": "nodes",
        "out_hubs": "nodes",
        "top_1_percent_share": "share",
        "top_10_percent_share": "share",
    },
    numbers=_numbers,
)

BUSIEST = Measure(
    "busiest",
    "Busiest nodes, by degree (path share: of all paths, those through the node)",
    {
        "node": "number",
        "node_level": "number",
        "degree": "edges",
        "in_degree": "edges",
        "out_degree": "edges",
        "path_share": "share",
    },
    bin="rank",
    numbers=_busiest,
    alone=frozenset({"node", "node_level", "in_degree", "out_degree"}),
)
