"""Edges at each node, where a dynamic network shows its nodes twice."""

from __future__ import annotations

import numpy as np

from dnw_graph.analysis.degrees import Degrees, degrees_of
from dnw_graph.figures.subject import Subject


def node_degrees(subject: Subject) -> Degrees:
    """As `degrees_of`; of a dynamic network's nodes, what their states before send and those after receive.

    Its states before come first, so that the first half of the arrays says all.
    """
    found = degrees_of(subject.wiring)
    if not subject.is_dynamic:
        return found
    return Degrees(np.roll(found.inward, subject.levels[0].size), found.outward)
