"""The record that all measures read: a wiring as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from dnw_graph.arguments import expect, several
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Ints, Layout, Stage
from dnw_graph.graph.status import Flags
from dnw_graph.portable.check import check_graph
from dnw_graph.portable.graph import Graph
from dnw_graph.program.status import node_status
from dnw_graph.shown import Rows, Shown, brief, counted


@dataclass(frozen=True, repr=False)
class Wiring(Shown):
    """Nodes and edges of a network's body; the wired classifier of a Small network is not part of it.

    layout  levels, stages and candidate edges
    source, target, id, stage  int64 [E], sorted by stage and id: the ends of each edge, its position in the
            stage's parameter, its stage
    weight  float64 [E]; None in a random graph, which has no weights
    read    bool [size of the last level]: which of its nodes the classifier reads
    """

    layout: Layout
    source: Ints
    target: Ints
    id: Ints
    stage: Ints
    weight: npt.NDArray[np.float64] | None
    read: Flags

    @property
    def num_nodes(self) -> int:
        return self.layout.num_nodes

    @property
    def num_edges(self) -> int:
        return len(self.id)

    @cached_property
    def level(self) -> Ints:
        """Level of each node, int64 [N]."""
        return self.layout.per_node([level.index for level in self.layout.levels])

    @cached_property
    def status(self) -> Ints:
        """0 dead, 1 constant, 2 live, as the edges say; int64 [N]."""
        return node_status(self.layout, self.source, self.target, self.read)

    @cached_property
    def budgets(self) -> tuple[int, ...]:
        """Number of edges of each stage."""
        return tuple(np.bincount(self.stage, minlength=len(self.layout.stages)).tolist())

    def shown(self) -> tuple[str, Rows]:
        layout = self.layout
        nodes = f"{self.num_nodes:,} in {counted(len(layout.levels), 'level')}"
        edges = f"{self.num_edges:,} of {layout.num_candidates:,} candidates"
        rows = [("nodes", nodes), ("edges", f"{edges}, in {counted(len(layout.stages), 'stage')}")]
        return "Wiring", [*rows, ("weight", "none" if self.weight is None else brief(self.weight))]

    def ids_of(self, stage: int) -> Ints:
        """Candidate ids of one stage's edges, ascending, int64 [k]."""
        return self.id[self.stage == stage]


def check_wiring(wiring: object) -> None:
    """Raise InputError unless it is a `Wiring`."""
    expect(wiring, Wiring, "wiring", "what analysis.wiring_of(network) gives")


def wiring_from_ids(layout: Layout, ids: Sequence[Ints], read: Flags | None = None) -> Wiring:
    """A wiring without weights, of the candidate ids of each stage [k] int64.

    read  see `Wiring`; None: all
    Raises InputError for what are no ids of candidate edges.
    """
    expect(layout, Layout, "layout", "that of a network or a wiring, .layout")
    given = several(ids, "ids", "the candidate ids of each stage")
    if len(given) != len(layout.stages):
        raise InputError(
            f"ids are of {len(given)} stages, and the layout has {len(layout.stages)}; give those of each"
        )
    ordered = [_ids(each, stage) for each, stage in zip(given, layout.stages, strict=True)]
    last = layout.levels[-1].size
    if read is not None and (getattr(read, "shape", None), getattr(read, "dtype", None)) != ((last,), bool):
        raise InputError(f"read says of no {last} nodes whether they are read; give a bool array [{last}]")
    ends = [stage.ends(each) for stage, each in zip(layout.stages, ordered, strict=True)]
    return Wiring(
        layout,
        source=np.concatenate([source for source, _ in ends]),
        target=np.concatenate([target for _, target in ends]),
        id=np.concatenate(ordered),
        stage=np.repeat(np.arange(len(ordered)), [len(each) for each in ordered]),
        weight=None,
        read=np.ones(layout.levels[-1].size, dtype=bool) if read is None else read,
    )


def _ids(given: object, stage: Stage) -> Ints:
    """Ids of one stage, ascending. Raises InputError unless they are ids of its candidates, each once."""
    try:
        ids = np.asarray(given)
    except (TypeError, ValueError):
        ids = np.zeros(0, dtype=object)
    if ids.ndim != 1 or (ids.size and ids.dtype.kind not in "iu"):
        raise InputError(f"ids of stage {stage.index} are no whole numbers [k]; give candidate ids")
    ids = np.sort(ids.astype(np.int64))
    if ids.size and (ids[0] < 0 or ids[-1] >= stage.num_candidates or (np.diff(ids) == 0).any()):
        raise InputError(
            f"ids of stage {stage.index} are not each once and from 0 to {stage.num_candidates - 1}; give "
            "those of candidate edges"
        )
    return ids


def wiring_from_graph(graph: Graph, where: str = "graph") -> Wiring:
    """The wiring of a graph that was loaded from a file or taken from a network.

    Which nodes the classifier reads follows from their status: in the last level, those that are not dead.
    Where strong edges only were exported, or no dead nodes, the wiring is what is left.
    Raises InputError, naming `where`, if the graph is no wiring, or one stage of several.
    """
    layout = check_graph(graph, where, allow_part=True)
    number = graph.nodes.get("number", np.arange(graph.num_nodes))
    part = graph.attributes.get("part", {})
    if "stage" in part and len(layout.stages) > 1:
        raise InputError(
            f"{where}: holds stage {part['stage']} only, where no path leads from stem to classifier; "
            "give the whole wiring"
        )
    edges, stage = graph.edges, graph.edge_stage.astype(np.int64)
    order = np.lexsort((edges["id"], stage))
    read = np.zeros(layout.num_nodes, dtype=bool)
    read[number] = graph.nodes["status"] != "dead"
    return Wiring(
        layout,
        source=number[edges["source"][order]],
        target=number[edges["target"][order]],
        id=edges["id"][order],
        stage=stage[order],
        weight=edges["weight"][order].astype(np.float64),
        read=read[layout.levels[-1].first :],
    )
