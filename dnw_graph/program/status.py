"""Which nodes of a wiring matter: live, constant or dead, from the very steps that run."""

from __future__ import annotations

import numpy as np

from dnw_graph.graph.layout import Ints, Layout
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.status import CONSTANT, DEAD, LIVE, Flags
from dnw_graph.program.body import body_steps, evaluation_steps, sums_of_stage
from dnw_graph.program.liveness import Ends, kept_together, reach
from dnw_graph.program.steps import Integrate, Messages, Repeat, Step
from dnw_graph.program.unroll import unrolled_steps

_PLAIN = NodeSpec("none")


def node_status(layout: Layout, source: Ints, target: Ints, read: Flags | None = None) -> Ints:
    """Status code per node [num_nodes] int64, of the wiring with edges source → target.

    A node with a path from the stem and to the classifier is live; with a path to the classifier
    only, constant (it sends the same map for every image); all others are dead. That a node starts from
    another's state is a link like an edge. In a network whose graph is applied several times, a node is
    live if it is in any evaluation, and has the same status before and after.

    read  [size of the last level] bool: which of its nodes the classifier reads; None: all
    """
    steps = _steps(layout)
    channels = {f"z{level.index}": level.size for level in layout.levels}
    channels |= {f"h{level.index}": level.size for level in layout.levels if level.sends}
    channels["y"] = layout.levels[-1].size
    steps, channels = unrolled_steps(steps, channels)
    last = layout.levels[-1]
    output = f"z{last.index}" if layout.evaluations is None else _last_result(steps)
    fed = np.arange(layout.levels[0].size) < layout.inputs
    used = np.ones(last.size, dtype=bool) if read is None else read
    found = reach(steps, channels, _ends_of(layout, source, target), {"z0": fed}, {output: used})
    live = kept_together(steps, {name: found.live(name) for name in channels})
    use = kept_together(steps, found.used)
    names = [f"z{level.index}" for level in layout.levels]
    is_live, is_used = (np.concatenate([flags[name] for name in names]) for flags in (live, use))
    return np.where(is_live, LIVE, np.where(is_used, CONSTANT, DEAD)).astype(np.int64)


def _steps(layout: Layout) -> tuple[Step, ...]:
    if layout.evaluations is None:
        return body_steps(layout, [_PLAIN] * len(layout.levels))
    once = evaluation_steps(layout, _PLAIN, "none")
    if layout.evaluations:
        return (Repeat("evaluations", "stage_0", "z0", "y", layout.evaluations, once),)
    return (Integrate("evaluations", "stage_0", "z0", "y", once),)


def _last_result(steps: tuple[Step, ...]) -> str:
    last = steps[-1]
    return last.state if isinstance(last, Integrate) else last.target  # type: ignore[attr-defined]


def _ends_of(layout: Layout, source: Ints, target: Ints) -> Ends:
    """Edges of a step of the body, as numbers within its states."""
    level = layout.per_node([each.index for each in layout.levels])[source]
    order = np.argsort(level, kind="stable")
    bounds = np.searchsorted(level[order], np.arange(len(layout.levels) + 1))

    def ends(step: Step) -> tuple[Ints, Ints]:
        stage = layout.stages[int(step.part.removeprefix("stage_"))]
        if not isinstance(step, Messages):
            return sums_of_stage(stage)[step.name]
        sender, listener = stage.levels[step.level], stage.levels[step.level + 1]
        mine = order[bounds[sender.index] : bounds[sender.index + 1]]
        return source[mine] - sender.first, target[mine] - listener.first

    return ends
