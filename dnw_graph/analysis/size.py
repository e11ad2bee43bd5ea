"""How large a wiring is."""

from __future__ import annotations

from dnw_graph.analysis.measure import WHOLE, Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring


def _numbers(wiring: Wiring) -> Numbers:
    """Nodes that receive in a stage (in the whole: with the stem's), edges, candidates, density."""
    layout = wiring.layout
    numbers: Numbers = {}
    for stage, edges in zip(layout.stages, wiring.budgets, strict=True):
        place = Place(stage=stage.index)
        numbers[place, "nodes"] = sum(level.size for level in stage.levels[1:])
        numbers[place, "edges"] = edges
        numbers[place, "candidates"] = stage.num_candidates
        numbers[place, "density"] = edges / stage.num_candidates
    numbers[WHOLE, "nodes"] = wiring.num_nodes
    numbers[WHOLE, "edges"] = wiring.num_edges
    numbers[WHOLE, "candidates"] = layout.num_candidates
    numbers[WHOLE, "density"] = wiring.num_edges / layout.num_candidates
    return numbers


SIZE = Measure(
    "size",
    "Size: nodes that receive in a stage (in all: with the stem's), edges, and candidate edges",
    {"nodes": "nodes", "edges": "edges", "candidates": "edges", "density": "share"},
    numbers=_numbers,
    random=False,
)
