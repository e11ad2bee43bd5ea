"""Edges that skip levels."""

from __future__ import annotations

import numpy as np

from dnw_graph.analysis.measure import WHOLE, Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.graph.layout import Ints


def spans_of(wiring: Wiring) -> Ints:
    """Level of the target minus level of the source, per edge: 1 to the next level. int64 [E]"""
    check_wiring(wiring)
    return wiring.level[wiring.target] - wiring.level[wiring.source]


def _numbers(wiring: Wiring) -> Numbers:
    """An edge with a span over 1 skips a level."""
    spans = spans_of(wiring)
    total = max(len(spans), 1)
    numbers: Numbers = {}
    for span, edges in zip(*np.unique(spans, return_counts=True), strict=True):
        numbers[Place(bin=int(span)), "edges"] = int(edges)
        numbers[Place(bin=int(span)), "share"] = int(edges) / total
    numbers[WHOLE, "skipping_edges"] = int((spans > 1).sum())
    numbers[WHOLE, "skipping_share"] = int((spans > 1).sum()) / total
    return numbers


SPANS = Measure(
    "spans",
    "Spans: how many levels an edge climbs; over 1 it skips levels",
    {"edges": "edges", "share": "share", "skipping_edges": "edges", "skipping_share": "share"},
    bin="span",
    numbers=_numbers,
)
