"""`count` and `bound`: from a network to its report. All exact numbers are read off its program."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from torch import nn

from dnw_graph.accounting import published
from dnw_graph.accounting.dense import count_dense
from dnw_graph.accounting.report import Part, Published, Report, StageCount
from dnw_graph.errors import InputError
from dnw_graph.graph.channel_graph import selected_ends
from dnw_graph.models.facts import ImportedCounts
from dnw_graph.models.heads import WiredClassifier
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.program.cost import cost, pixels_of_messages
from dnw_graph.program.program import Program
from dnw_graph.program.split import split
from dnw_graph.program.steps import Edges, Messages, NodeOperation, targets_of
from dnw_graph.program.unroll import unrolled


def count(model: nn.Module) -> Report:
    """Parameters and MACs of a network for one image of its size, with the wiring that it has now.

    Of a network in continuous time, MACs are those of one evaluation, besides stem and head.
    A dense network needs `num_classes` and `image_size`; its published numbers are None.
    Raises InputError for anything else.
    """
    if not isinstance(model, nn.Module):
        raise InputError(
            f"count takes a network and was given a {type(model).__name__}; give what build_model made"
        )
    if lacking := [name for name in ("num_classes", "image_size") if not hasattr(model, name)]:
        raise InputError(
            f"{type(model).__name__} has no {lacking[0]}, which counting needs; give one of ours"
        )
    if not isinstance(model, WiredNetwork):
        return count_dense(model)
    live, _ = split(lower(model))
    return report_of(model, live, _imported(model) or _published(model, _alive(model)))


def bound(model: nn.Module) -> Report | None:
    """The count of a wiring that spends the model's whole budget and leaves no node out; None if dense."""
    if not isinstance(model, WiredNetwork):
        return None
    budgets = {f"stage_{wired.stage.index}": wired.budget for wired in model.body_stages()}
    if isinstance(model.head, WiredClassifier):
        budgets["head"] = model.head.wiring.budget
    return report_of(model, unrolled(lower(model)), _published(model, None), budgets)


def report_of(
    model: WiredNetwork,
    program: Program,
    published_counts: Published | None = None,
    budgets: Mapping[str, int] | None = None,
) -> Report:
    """What a program without `Repeat` costs, part by part; it has the channels and edges that run.

    budgets  edges of each part, if not those that the program has
    """
    given = budgets or {}
    parts = {f"stage_{stage.index}" for stage in model.layout.stages}
    stem, head = (_part(program, name, given.get(name)) for name in ("stem", "head"))
    return Report(
        network=model.network,
        image_size=model.image_size,
        num_classes=model.num_classes,
        stem=stem,
        stages=tuple(_stage(program, name, given.get(name)) for name in sorted(parts, key=_number)),
        head=head,
        norm_and_bias_params=cost(program).others,
        published=published_counts,
        evaluations=model.layout.evaluations,
    )


def _number(part: str) -> int:
    return int(part.removeprefix("stage_"))


def _part(program: Program, name: str, edges: int | None) -> Part:
    """Params and MACs of a part; edges: its number of edges, if not that of the program."""
    own = cost(program, name)
    if edges is None:
        return Part(own.params, own.macs)
    found, pixels = _edges(program, name), pixels_of_messages(program, name)
    return Part(own.params + edges - found, own.macs + (edges - found) * pixels)


def _stage(program: Program, name: str, edges: int | None) -> StageCount:
    steps = [step for step in program.flat() if step.part == name]
    hearing = {
        state.partition("@")[0] for step in steps if isinstance(step, Edges) for state in targets_of(step)
    }
    convolving = {step.name: step for step in steps if isinstance(step, NodeOperation)}
    part = _part(program, name, edges)
    return StageCount(
        name=name,
        nodes=sum(_channels(program, state) for state in hearing),
        edges=_edges(program, name) if edges is None else edges,
        convolutions=sum(len(program.tensor(step, "kernel")) for step in convolving.values()),
        params=part.params,
        macs=part.macs,
    )


def _channels(program: Program, state: str) -> int:
    """Channels of a state, in whichever evaluation."""
    return next(count for name, count in program.channels.items() if name.partition("@")[0] == state)


def _edges(program: Program, part: str) -> int:
    steps = {step.name: step for step in program.flat() if isinstance(step, Messages) and step.part == part}
    return sum(program.tensor(step, "weight").size for step in steps.values())


def remember_published(model: WiredNetwork, counts: Published) -> None:
    """Keep published counts that the wiring alone does not tell: those of an imported file's full rectangles.

    They hold as long as the wiring stays as it is now.
    """
    known = ImportedCounts(counts.as_dict(), _wiring_crc32(model))
    model.facts = replace(model.facts, published=known)


def _published(model: WiredNetwork, alive: published.Alive | None) -> Published | None:
    """The 2019 convention for a wiring (`alive`), or its bound (None)."""
    budgets = [stage.budget for stage in model.body_stages()]
    if model.layout.evaluations is not None or model.layout.has_starts:
        nodes = sum(level.size for level in model.layout.levels if level.sends)
        return published.tiny(budgets[0], nodes, _parameters(model.stem) + _parameters(model.head))
    blocks = published.rectangles(model.layout)
    small = isinstance(model.head, WiredClassifier)
    width = model.facts.width
    if width is not None:
        rate = published.prune_rate(width)
        return published.profile(blocks, rate, model.num_classes, small=small, alive=alive)
    head_edges = model.head.wiring.budget if isinstance(model.head, WiredClassifier) else None
    return published.profile_edges(blocks, budgets, model.num_classes, alive=alive, head_edges=head_edges)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _alive(model: WiredNetwork) -> published.Alive:
    """Which nodes have edges at all, live or not: all that the published convention asks."""
    layout = model.layout
    source, target = selected_ends(layout, [stage.ids for stage in model.body_stages()])
    sends, hears = np.zeros(layout.num_nodes, dtype=bool), np.zeros(layout.num_nodes, dtype=bool)
    sends[source] = True
    hears[target] = True
    first, last = layout.levels[0], layout.levels[-1]
    return published.Alive(
        sources=tuple(
            int(sends[stage.levels[0].first : stage.levels[-1].first].sum()) for stage in layout.stages
        ),
        stem=int(sends[: first.size].sum()),
        outputs=int(hears[last.first : last.end].sum()),
    )


def _imported(model: WiredNetwork) -> Published | None:
    kept = model.facts.published
    if kept is None or kept.wiring_crc32 != _wiring_crc32(model):
        return None
    return Published.from_dict(dict(kept.counts))


def _wiring_crc32(model: WiredNetwork) -> int:
    crc = 0
    for stage in model.wirings().values():
        crc = zlib.crc32(stage.cpu().numpy().astype("<i8").tobytes(), crc)
    return crc
