"""Groups of nodes that are joined more densely than chance would."""

from __future__ import annotations

from dataclasses import dataclass

import networkx as nx
import numpy as np

from dnw_graph.analysis.measure import Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.arguments import whole_number
from dnw_graph.graph.layout import Ints
from dnw_graph.shown import Shown

SEED = 0


@dataclass(frozen=True, repr=False)
class Communities(Shown):
    """A partition of the nodes of one stage that have an edge in it.

    members     node numbers of each community, ascending; the largest community first
    modularity  share of the edges that is within communities, minus what that share would be in a random
                graph with the same degrees
    """

    members: tuple[Ints, ...]
    modularity: float


def communities_of(wiring: Wiring, stage: int, seed: int = SEED) -> Communities:
    """Communities of a stage by Louvain's method, on edges without direction or weight.

    The method visits nodes in an order drawn from the seed; another one can give a somewhat other partition.
    Random graphs have communities too: compare modularities (Guimerà, Sales-Pardo, Amaral 2004,
    arXiv:cond-mat/0403660).

    Source: Blondel, Guillaume, Lambiotte, Lefebvre 2008, arXiv:0803.0476, as in networkx; modularity: Newman
    and Girvan 2004, arXiv:cond-mat/0308217.
    """
    check_wiring(wiring)
    whole_number(stage, "stage", 0, len(wiring.layout.stages) - 1)
    whole_number(seed, "seed", 0)
    mine = wiring.stage == stage
    graph = nx.Graph()
    graph.add_edges_from(zip(wiring.source[mine].tolist(), wiring.target[mine].tolist(), strict=True))
    if not graph:
        return Communities((), 0.0)
    found = nx.community.louvain_communities(graph, seed=seed)
    members = sorted((sorted(each) for each in found), key=lambda each: (-len(each), each))
    return Communities(
        tuple(np.array(each, dtype=np.int64) for each in members),
        float(nx.community.modularity(graph, members)),
    )


def _numbers(wiring: Wiring) -> Numbers:
    numbers: Numbers = {}
    for stage in range(len(wiring.layout.stages)):
        found, place = communities_of(wiring, stage), Place(stage=stage)
        sizes = [len(each) for each in found.members]
        numbers |= {
            (place, "nodes"): sum(sizes),
            (place, "communities"): len(sizes),
            (place, "largest"): max(sizes, default=0),
            (place, "modularity"): found.modularity,
        }
    return numbers


COMMUNITIES = Measure(
    "communities",
    "Communities of a stage (Louvain), of its nodes that have an edge there",
    {"nodes": "nodes", "communities": "communities", "largest": "nodes", "modularity": "modularity"},
    numbers=_numbers,
    # Half a minute on one core.
    work=600_000,
)
