"""Wirings as graphs: what a network scientist asks of them, with random graphs of equal budget beside it.

One measure per file; `docs/analysis.md` defines every number.
"""

from __future__ import annotations

from dnw_graph.analysis.communities import communities_of
from dnw_graph.analysis.degrees import degrees_of
from dnw_graph.analysis.densities import densities_of
from dnw_graph.analysis.hubs import hubs_of
from dnw_graph.analysis.overlap import overlaps_of, sum_of
from dnw_graph.analysis.paths import paths_of
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.report import analyze
from dnw_graph.analysis.source import wiring_of
from dnw_graph.analysis.spans import spans_of
from dnw_graph.analysis.statuses import status_counts
from dnw_graph.analysis.stored import stored_wirings
from dnw_graph.analysis.turnover import ages_by_epoch, turnover_of
from dnw_graph.analysis.weights import percentiles_of
from dnw_graph.analysis.wiring import Wiring, wiring_from_ids
from dnw_graph.analysis.write import write_report

__all__ = [
    "RandomGraphs",
    "Wiring",
    "ages_by_epoch",
    "analyze",
    "communities_of",
    "degrees_of",
    "densities_of",
    "hubs_of",
    "overlaps_of",
    "paths_of",
    "percentiles_of",
    "spans_of",
    "status_counts",
    "stored_wirings",
    "sum_of",
    "turnover_of",
    "wiring_from_ids",
    "wiring_of",
    "write_report",
]
