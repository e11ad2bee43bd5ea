"""The steps of a wired body: from its layout alone, once, for every executor.

State `z3` holds level 3's states, `h3` what it sends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dnw_graph.graph.layout import Ints, Layout, Stage
from dnw_graph.graph.node_spec import NodeSpec, NormKind
from dnw_graph.program.steps import Messages, NodeOperation, Norm, Step, Sum


def stage_steps(stage: Stage, specs: Sequence[NodeSpec]) -> tuple[Step, ...]:
    """The steps of one stage; specs: of its sending levels. Its input and output are the first and last z."""
    part, levels = f"stage_{stage.index}", [level.index for level in stage.levels]
    last = levels[-1]
    steps: list[Step] = []
    for turn, spec in zip(stage.schedule.turns, specs, strict=True):
        level = levels[turn.level]
        steps.append(NodeOperation(f"level_{level}", part, f"z{level}", f"h{level}", spec, turn.level))
        if turn.start:
            steps.append(Sum(f"{part}.start", part, f"z{level}", (f"z{last}",), (stage.levels[-1].size,)))
        heard = tuple(f"z{levels[each]}" for each in turn.hears)
        sizes = tuple(stage.levels[each].size for each in turn.hears)
        steps.append(Messages(f"{part}.{turn.level}", part, f"h{level}", heard, sizes, turn.level))
    return tuple(steps)


def sums_of_stage(stage: Stage) -> dict[str, tuple[Ints, Ints]]:
    """(column, row) of a stage's `Sum`s, by step name: from where nodes of the last level start."""
    rows = [(turn, np.arange(turn.start)) for turn in stage.schedule.turns if turn.start]
    return {f"stage_{stage.index}.start": (turn.size - turn.start + row, row) for turn, row in rows}


def body_steps(layout: Layout, specs: Sequence[NodeSpec]) -> tuple[Step, ...]:
    """The steps of all stages, from `z0`; specs: of all sending levels."""
    return tuple(
        step
        for stage in layout.stages
        for step in stage_steps(stage, [specs[level.index] for level in stage.levels[:-1]])
    )


def evaluation_steps(layout: Layout, spec: NodeSpec, norm: NormKind, eps: float = 1e-5) -> tuple[Step, ...]:
    """The steps of one evaluation of a dynamic network: `z0` → `y`, normalised after the messages."""
    (stage,) = layout.stages
    return (*stage_steps(stage, [spec]), Norm("norm", f"stage_{stage.index}", "z1", "y", norm, eps))
