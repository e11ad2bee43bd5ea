"""Live, constant and dead nodes."""

from __future__ import annotations

import numpy as np

from dnw_graph.analysis.measure import WHOLE, Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring, check_wiring
from dnw_graph.graph.layout import Ints
from dnw_graph.graph.status import STATUS_NAMES, edge_is_live


def status_counts(wiring: Wiring) -> Ints:
    """Dead, constant and live nodes of each level, int64 [levels, 3].

    Live: has a path from the stem and one to the classifier; constant: to the classifier only; dead: all
    others. The carry of a readout node is a link like an edge.
    """
    check_wiring(wiring)
    levels = len(wiring.layout.levels)
    code = wiring.level * len(STATUS_NAMES) + wiring.status
    return np.bincount(code, minlength=levels * len(STATUS_NAMES)).reshape(levels, len(STATUS_NAMES))


def _numbers(wiring: Wiring) -> Numbers:
    counts = status_counts(wiring)
    places = [Place(level=level) for level in range(len(counts))]
    numbers: Numbers = {}
    for place, row in zip([*places, WHOLE], [*counts, counts.sum(axis=0)], strict=True):
        for code in reversed(range(len(STATUS_NAMES))):
            numbers[place, STATUS_NAMES[code]] = int(row[code])
            numbers[place, f"{STATUS_NAMES[code]}_share"] = int(row[code]) / int(row.sum())
    live = int(edge_is_live(wiring.status, wiring.source, wiring.target).sum())
    numbers[WHOLE, "live_edges"] = live
    numbers[WHOLE, "live_edges_share"] = live / max(wiring.num_edges, 1)
    return numbers


STATUSES = Measure(
    "statuses",
    "Status: live (on a path from stem to classifier), constant (to the classifier only), dead (others)",
    {
        **dict.fromkeys(reversed(STATUS_NAMES), "nodes"),
        **{f"{name}_share": "share" for name in reversed(STATUS_NAMES)},
        "live_edges": "edges",
        "live_edges_share": "share",
    },
    numbers=_numbers,
)
