"""A part of a wiring: one stage, strong edges only, or without dead nodes.

The graph attribute `part` says what was left out: `stage` (the only one that is there), `threshold` (edges of
smaller magnitude are gone), `strongest` (so many edges are left, and the nodes at their ends), `without_dead`
(true). Where nodes are gone, it also has `levels`, those of the
whole wiring, and `readout` (true where the last level starts from states of the level before); the nodes keep
their numbers.
"""

from __future__ import annotations

import math
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from dnw_graph.arguments import number, whole_number
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout
from dnw_graph.graph.status import STATUS_NAMES
from dnw_graph.interchange.graph import Array, Graph
from dnw_graph.interchange.levels import level_rows, whole_layout
from dnw_graph.program.status import node_status

_TYPES: dict[str, tuple[type, ...]] = {
    "stage": (int,),
    "threshold": (int, float),
    "strongest": (int,),
    "without_dead": (bool,),
    "levels": (list,),
    "readout": (bool,),
}


def part_of(
    graph: Graph,
    *,
    stage: int | None = None,
    threshold: float | None = None,
    without_dead: bool = False,
    strongest: int | None = None,
) -> Graph:
    """The part of a graph that is left, or the graph itself where nothing is asked for.

    stage         keep the levels of this stage, its input level included, and the edges between them
    threshold     drop edges with |weight| < threshold; the nodes' status is then that of what is left
    without_dead  drop dead nodes and their edges. Constant nodes stay, since they change the outputs
    strongest     of what is left, keep so many edges of largest |weight| (of equals the first), their ends;
                  the nodes' status stays that of the whole
    Raises InputError for a stage that is not there, a threshold that is no magnitude, a number of edges that
    is none, or a graph of which something was left out before.
    """
    if stage is None and threshold is None and strongest is None and not without_dead:
        return graph
    where = "the graph"
    if stage is not None:
        stage = whole_number(stage, "stage")
    if threshold is not None:
        number(threshold, "threshold")
    if "part" in graph.attributes:
        raise InputError(f"{where} is a part already; take parts of the whole wiring")
    layout, side = whole_layout(graph, where)
    part: dict[str, object] = {}
    nodes, edges = dict(graph.nodes), dict(graph.edges)
    if threshold is not None:
        if isinstance(threshold, bool) or not (math.isfinite(threshold) and threshold >= 0):
            raise InputError(f"threshold {threshold} is no magnitude; give a number from 0 on")
        part["threshold"] = float(threshold)
        strong = np.abs(edges["weight"]) >= threshold
        edges = {name: values[strong] for name, values in edges.items()}
        nodes["status"] = _status(layout, nodes["status"], edges)
    kept: NDArray[np.bool_] = np.ones(graph.num_nodes, dtype=bool)
    if stage is not None:
        if isinstance(stage, bool) or not 0 <= stage < len(layout.stages):
            last = len(layout.stages) - 1
            raise InputError(f"stage {stage} is not there; this wiring has stages 0 to {last}")
        part["stage"] = int(stage)
        kept = np.isin(nodes["level"], [level.index for level in layout.stages[stage].levels])
        mine = nodes["stage"][edges["target"]] == stage
        edges = {name: values[mine] for name, values in edges.items()}
    if without_dead:
        part["without_dead"] = True
        kept &= nodes["status"] != "dead"
    if strongest is not None:
        if isinstance(strongest, bool) or strongest < 1:
            raise InputError(f"strongest {strongest} leaves no edge; give 1 or more")
        part["strongest"] = int(strongest)
        edges = {name: values[_strongest(edges, kept, strongest)] for name, values in edges.items()}
        used = np.zeros(graph.num_nodes, dtype=bool)
        used[edges["source"]] = used[edges["target"]] = True
        kept &= used
    if not kept.all():
        part["levels"] = [row._asdict() for row in level_rows(layout, side)]
        part["readout"] = layout.has_starts
        nodes, edges = _without(nodes, edges, kept)
    return Graph(nodes, edges, {**graph.attributes, "part": part})


def _strongest(edges: dict[str, Array], kept: Array, count: int) -> Array:
    """Positions of `count` edges between nodes that are kept, in the order of the file."""
    there = np.flatnonzero(kept[edges["source"]] & kept[edges["target"]])
    order = there[np.argsort(-np.abs(edges["weight"][there]), kind="stable")]
    positions: Array = np.sort(order[:count])
    return positions


def _status(layout: Layout, before: Array, edges: dict[str, Array]) -> Array:
    # Which nodes of the last level the classifier reads is known from their status alone.
    read = before[layout.levels[-1].first :] != "dead"
    return np.array(STATUS_NAMES)[node_status(layout, edges["source"], edges["target"], read)]


def _without(
    nodes: dict[str, Array], edges: dict[str, Array], kept: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """kept [N] bool → the nodes that are kept, with their numbers, and the edges between them."""
    left = kept[edges["source"]] & kept[edges["target"]]
    edges = {name: values[left] for name, values in edges.items()}
    position = np.cumsum(kept) - 1
    edges |= {name: position[edges[name]] for name in ("source", "target")}
    return {"number": np.flatnonzero(kept), **{name: values[kept] for name, values in nodes.items()}}, edges


def check_part(graph: Graph, where: str) -> None:
    """Raise InputError unless the graph attribute `part` is one, and there where nodes were left out."""
    part = graph.attributes.get("part")
    if "number" in graph.nodes and (part is None or "levels" not in part):
        _refuse(where, "its nodes are not numbered from 0 on without gaps; give the whole graph")
    for name, value in (part or {}).items():
        if name not in _TYPES or type(value) not in _TYPES[name]:
            _refuse(where, f"part.{name} is {value!r:.60}; {', '.join(_TYPES)} are known")
    if part and "levels" in part and "number" not in graph.nodes:
        _refuse(where, "no node was left out although part.levels says so; drop part.levels")


def _refuse(where: str, what: str) -> NoReturn:
    raise InputError(f"{where}: {what}")
