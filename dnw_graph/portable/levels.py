"""The levels of a graph from a file, and the layout that they make."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple, NoReturn

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout, chain_of_stages, groups_with_readout, one_evaluation
from dnw_graph.portable.graph import Graph

# Bounds on the work that a hostile file can cause; the ImageNet network has 14 levels and 5984 nodes.
MAX_LEVELS = 1000
MAX_NODES = 200_000
_MAX_NUMBER = 2**31


class LevelRow(NamedTuple):
    """One level of the whole wiring: number of nodes, stage in which they receive (-1: the stem's channels),
    stride of their convolution, side of their states in pixels.
    """

    nodes: int
    stage: int
    stride: int
    resolution: int


def level_rows(layout: Layout, side: int) -> list[LevelRow]:
    """The levels of a layout whose stem gives maps of `side` pixels."""
    return [
        LevelRow(level.size, level.stage, level.stride, resolution)
        for level, resolution in zip(layout.levels, layout.resolutions(side), strict=True)
    ]


def whole_layout(graph: Graph, where: str) -> tuple[Layout, int]:
    """(layout of the whole wiring, side of the stem's maps in pixels), from the nodes, or from what the graph
    attribute `part` says of them where some were left out. Raises InputError if it is none.
    """
    if "number" in graph.nodes:
        part = graph.attributes["part"]
        rows, readout = _told(part["levels"], where), bool(part.get("readout", False))
    else:
        rows, readout = _counted(graph, where), bool((graph.nodes["carry"] >= 0).any())
    sizes, stages = [row.nodes for row in rows], [row.stage for row in rows]
    if sum(sizes) > MAX_NODES:
        _refuse(where, f"has {sum(sizes)} nodes; at most {MAX_NODES} are read")
    if not 2 <= len(rows) <= MAX_LEVELS:
        _refuse(where, f"has {len(rows)} levels; a network here has 2 to {MAX_LEVELS}")
    if min(row.stride for row in rows) < 1 or min(row.resolution for row in rows) < 1:
        _refuse(where, "a stride or a resolution is less than 1")
    steps = [after - before for before, after in pairwise(stages)]
    if stages[0] != -1 or steps[0] != 1 or not set(steps) <= {0, 1}:
        _refuse(where, f"levels are in stages {stages!s:.200}; -1 comes first, then 0, 1, … without gaps")
    if "evaluations" in graph.attributes:
        layout = _evaluated(sizes, graph, where)
    else:
        layout = _with_readout(sizes, where) if readout else _chain(rows, where)
    return layout, rows[0].resolution


def _counted(graph: Graph, where: str) -> list[LevelRow]:
    """From the nodes themselves, which are all there."""
    nodes, count = graph.nodes, graph.num_nodes
    level = nodes["level"]
    if not count or level.min() < 0 or level.max() >= count:
        _refuse(where, "the nodes' levels do not run from 0 on; number nodes level by level")
    sizes = np.bincount(level)
    if 0 in sizes or not np.array_equal(level, np.repeat(np.arange(len(sizes)), sizes)):
        _refuse(where, "nodes are not numbered level by level, from level 0 on")
    for name in ("stride", "resolution"):
        if nodes[name].min() < 1:
            _refuse(where, "a stride or a resolution is less than 1")
    firsts = np.cumsum(sizes) - sizes
    columns = [sizes, *(nodes[name][firsts] for name in ("stage", "stride", "resolution"))]
    return [LevelRow(*row) for row in zip(*(column.tolist() for column in columns), strict=True)]


def _told(levels: list[Any], where: str) -> list[LevelRow]:
    rows = []
    for index, level in enumerate(levels):
        if not isinstance(level, dict) or set(level) != set(LevelRow._fields):
            _refuse(where, f"part.levels[{index}] is not made of {', '.join(LevelRow._fields)}")
        for name, value in level.items():
            if type(value) is not int or not -1 <= value < _MAX_NUMBER or (name == "nodes" and value < 1):
                _refuse(where, f"part.levels[{index}].{name} is {value!r:.60}; no level has that")
        rows.append(LevelRow(**level))
    return rows


def _evaluated(sizes: list[int], graph: Graph, where: str) -> Layout:
    """Of a dynamic network: the states before and after an evaluation."""
    evaluations, inputs = graph.attributes["evaluations"], graph.attributes.get("inputs", 0)
    if len(sizes) != 2 or sizes[0] != sizes[1]:
        _refuse(where, f"has levels of {sizes!s:.200} nodes; a graph of one evaluation has two of one size")
    if not 0 <= evaluations <= _MAX_NUMBER or not 1 <= inputs <= sizes[0]:
        _refuse(
            where,
            f"evaluations is {evaluations} and inputs {inputs}; give 0 or more, and 1 to {sizes[0]} inputs",
        )
    return one_evaluation(sizes[0], inputs, evaluations)


def _with_readout(sizes: list[int], where: str) -> Layout:
    try:
        return groups_with_readout(sizes[:-1], sizes[-1])
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


def _chain(rows: list[LevelRow], where: str) -> Layout:
    stages, table = [row.stage for row in rows], []
    for stage in range(stages[-1] + 1):
        first = stages.index(stage)
        members = [row.nodes for row in rows[first : first + stages.count(stage)]]
        if len(set(members)) > 1:
            _refuse(where, f"levels of stage {stage} have {members} nodes; they must be of one size")
        table.append((rows[first - 1].nodes, members[0], rows[first - 1].stride, len(members)))
    return chain_of_stages(table)


def _refuse(where: str, what: str) -> NoReturn:
    raise InputError(f"{where}: {what}")
