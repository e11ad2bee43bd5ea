"""The measures of a report, in its order."""

from __future__ import annotations

from dnw_graph.analysis.communities import COMMUNITIES
from dnw_graph.analysis.degrees import DEGREE_DISTRIBUTION, DEGREES
from dnw_graph.analysis.densities import DENSITIES
from dnw_graph.analysis.hubs import BUSIEST, HUBS
from dnw_graph.analysis.overlap import OVERLAP
from dnw_graph.analysis.paths import PATHS
from dnw_graph.analysis.size import SIZE
from dnw_graph.analysis.spans import SPANS
from dnw_graph.analysis.statuses import STATUSES
from dnw_graph.analysis.turnover import AGES, TURNOVER
from dnw_graph.analysis.weights import WEIGHT_PAIRS, WEIGHTS

__all__ = ["AGES", "MEASURES", "OVERLAP", "TURNOVER"]

MEASURES = (
    SIZE,
    STATUSES,
    DEGREES,
    DEGREE_DISTRIBUTION,
    PATHS,
    DENSITIES,
    SPANS,
    HUBS,
    BUSIEST,
    COMMUNITIES,
    WEIGHTS,
    WEIGHT_PAIRS,
    TURNOVER,
    AGES,
    OVERLAP,
)
