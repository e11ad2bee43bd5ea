"""What the page shows: a wiring, its past and its network, as plain values and arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dnw_graph.analysis.stored import StoredWirings
from dnw_graph.analysis.wiring import Wiring, wiring_from_graph
from dnw_graph.errors import InputError
from dnw_graph.graph.status import STATUS_NAMES
from dnw_graph.portable.graph import Graph
from dnw_graph.program.program import Program
from dnw_graph.view.arrays import Array, smallest
from dnw_graph.view.past import past_of
from dnw_graph.view.steps import steps_of


@dataclass(frozen=True)
class Content:
    """about: JSON-able values; arrays: of the types that the page reads. See `content_of`."""

    about: dict[str, Any]
    arrays: dict[str, Array] = field(repr=False)


def content_of(
    graph: Graph,
    name: str,
    *,
    program: Program | None = None,
    no_program: str = "the file holds the wiring alone; make the page of a run",
    past: StoredWirings | None = None,
    facts: dict[str, str] | None = None,
) -> Content:
    """Everything in the page.

    program     runs in the page on images; None: `no_program` says why there is none
    past        wirings of earlier epochs
    facts       further lines about the wiring: data set, epochs
    about       name, network, rule, counts, levels, classes, preprocessing, steps, …
    arrays      node/status uint8 [N], node/carry int32 [N], node/read uint8 [size of the last level],
                node/kernel float32 [N, 9], node/scale and node/shift float32 [N];
                edge/source and edge/target unsigned [E], edge/weight float32 [E];
                those of `past_of` and `steps_of`
    Raises InputError for a graph that is no wiring, or of which nodes were left out.
    """
    if "number" in graph.nodes:
        raise InputError(f"{name}: nodes were left out when it was exported; give the whole wiring")
    wiring = wiring_from_graph(graph, name)
    layout, attributes = wiring.layout, graph.attributes
    about: dict[str, Any] = {
        "name": name,
        "network": attributes["network"],
        "rule": attributes["rule"],
        "operation": attributes["node_operation"],
        "imageSize": attributes["input_resolution"],
        "nodes": wiring.num_nodes,
        "edges": wiring.num_edges,
        "candidates": layout.num_candidates,
        "status": {status: int((graph.nodes["status"] == status).sum()) for status in reversed(STATUS_NAMES)},
        "levels": _levels(graph, wiring),
        "evaluations": layout.evaluations,
        "inputs": layout.inputs,
        "classes": attributes.get("class_names"),
        "preprocessing": attributes.get("preprocessing"),
        "part": attributes.get("part", {}),
        "facts": facts or {},
    }
    arrays = _nodes(graph, wiring) | _edges(wiring)
    about["epochs"], more = ([], {}) if past is None else past_of(wiring, past)
    arrays |= more
    about["steps"], about["noSteps"], more = steps_of(program, no_program)
    return Content(about, arrays | more)


def _levels(graph: Graph, wiring: Wiring) -> list[dict[str, Any]]:
    firsts = [level.first for level in wiring.layout.levels]
    resolutions, norms = graph.nodes["resolution"][firsts], graph.nodes["norm"][firsts]
    return [
        {
            "first": level.first,
            "size": level.size,
            "stage": level.stage,
            "stride": level.stride,
            "resolution": int(resolution),
            "norm": str(norm),
        }
        for level, resolution, norm in zip(wiring.layout.levels, resolutions, norms, strict=True)
    ]


def _nodes(graph: Graph, wiring: Wiring) -> dict[str, Array]:
    nodes = graph.nodes
    codes = {name: code for code, name in enumerate(STATUS_NAMES)}
    return {
        "node/status": np.array([codes[str(each)] for each in nodes["status"]], dtype=np.uint8),
        "node/carry": nodes["carry"].astype(np.int32),
        "node/read": wiring.read.astype(np.uint8),
        "node/kernel": nodes["kernel"].reshape(-1, 9).astype(np.float32),
        "node/scale": nodes["scale"].astype(np.float32),
        "node/shift": nodes["shift"].astype(np.float32),
    }


def _edges(wiring: Wiring) -> dict[str, Array]:
    assert wiring.weight is not None
    return {
        "edge/source": smallest(wiring.source),
        "edge/target": smallest(wiring.target),
        "edge/weight": wiring.weight.astype(np.float32),
    }
