"""`count` and `bound`: from a network to its report."""

from __future__ import annotations

import zlib

import numpy as np
from torch import nn

from dnw_graph.accounting import published
from dnw_graph.accounting.dense import count_dense
from dnw_graph.accounting.exact import (
    GraphArrays,
    Integers,
    bound_stages,
    convolving_nodes,
    count_stages,
    graph_arrays,
)
from dnw_graph.accounting.layers import COUNTED, count_layers
from dnw_graph.accounting.report import Part, Published, Report, StageCount
from dnw_graph.errors import InputError
from dnw_graph.graph.channel_graph import selected_ends
from dnw_graph.graph.status import node_status
from dnw_graph.models.heads import WiredClassifier
from dnw_graph.models.network import WiredNetwork


def count(model: nn.Module) -> Report:
    """Parameters and MACs of a network for one image of its size, with the wiring that it has now.

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
    graph = wiring_arrays(model)
    return count_live(model, graph, _imported(model) or _published(model, _alive(model, graph)))


def count_live(model: WiredNetwork, graph: GraphArrays, published_counts: Published | None = None) -> Report:
    """The exact count if the nodes that `graph` calls live ran, the edges between them, and nothing else."""
    layout = model.layout
    stem_live = int(graph.live[: layout.levels[0].size].sum())
    outputs = graph.live[layout.levels[-1].first :]
    head_edges = None
    if isinstance(model.head, WiredClassifier):
        source, _ = _head_ends(model.head)
        head_edges = int(outputs[source].sum())
    return _report(
        model,
        stages=count_stages(graph),
        stem_live=stem_live,
        convolving=int(convolving_nodes(graph).sum()),
        outputs=int(outputs.sum()),
        head_edges=head_edges,
        published_counts=published_counts,
    )


def bound(model: nn.Module) -> Report | None:
    """The count of a wiring that spends the model's whole budget and leaves no node out; None if dense."""
    if not isinstance(model, WiredNetwork):
        return None
    layout = model.layout
    head = model.head
    stages = bound_stages(layout, [stage.budget for stage in model.body_stages()], model.stem_side)
    return _report(
        model,
        stages=stages,
        stem_live=layout.levels[0].size,
        convolving=sum(stage.convolutions or 0 for stage in stages),
        outputs=layout.levels[-1].size,
        head_edges=head.wiring.budget if isinstance(head, WiredClassifier) else None,
        published_counts=_published(model, None),
    )


def wiring_arrays(model: WiredNetwork) -> GraphArrays:
    """The numbers of a model's present wiring."""
    source, target = selected_ends(model.layout, [stage.ids for stage in model.body_stages()])
    status = node_status(model.layout, source, target, model.outputs_read())
    return graph_arrays(model.layout, source, target, status, model.stem_side)


def remember_published(model: WiredNetwork, counts: Published) -> None:
    """Keep published counts that the wiring alone does not tell: those of an imported file's full rectangles.

    They hold as long as the wiring stays as it is now.
    """
    model.metadata["published"] = {**counts.as_dict(), "wiring_crc32": _wiring_crc32(model)}


def _report(
    model: WiredNetwork,
    *,
    stages: tuple[StageCount, ...],
    stem_live: int,
    convolving: int,
    outputs: int,
    head_edges: int | None,
    published_counts: Published | None,
) -> Report:
    """outputs: live nodes of the last level; head_edges: live edges of a wired classifier."""
    stem, stem_others = _stem(model, stem_live)
    classifier = outputs * model.num_classes if head_edges is None else head_edges
    return Report(
        network=model.network,
        image_size=model.image_size,
        num_classes=model.num_classes,
        stem=stem,
        stages=stages,
        head=Part(classifier, classifier),
        norm_and_bias_params=stem_others + 2 * convolving + _head_others(model, outputs),
        published=published_counts,
    )


def _stem(model: WiredNetwork, live: int) -> tuple[Part, int]:
    """The stem's weights and work, and its norm and bias parameters, when `live` of its channels are.

    Its last convolution makes live channels only; what comes before runs in full if any is live.
    """
    if not live:
        return Part(0, 0), 0
    side = model.image_size
    layers = count_layers(model.stem, (1, 3, side, side))
    *_, last = layers
    channels = layers[last].channels
    params = macs = others = 0
    # Registered in the order in which they run: a norm after the last convolution has its channels.
    is_after = False
    for name, module in model.stem.named_modules():
        is_after = is_after or name == last
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if isinstance(module, COUNTED):
            layer = layers[name]
            params += layer.params * live // channels if is_after else layer.params
            macs += layer.macs * live // channels if is_after else layer.macs
            own -= layer.params
        others += own * live // channels if is_after else own
    return Part(params, macs), others


def _head_others(model: WiredNetwork, outputs: int) -> int:
    """Norm and bias parameters of the head: norms of live channels, every bias of the classifier."""
    head = model.head
    others = 0
    for module in head.modules():
        if isinstance(module, nn.BatchNorm2d):
            others += 2 * outputs
        elif isinstance(module, nn.Linear) and module.bias is not None:
            others += module.bias.numel()
    return others


def _published(model: WiredNetwork, alive: published.Alive | None) -> Published | None:
    """The 2019 convention for a wiring (`alive`), or its bound (None)."""
    budgets = [stage.budget for stage in model.body_stages()]
    if model.layout.carry:
        nodes = sum(level.size for level in model.layout.levels if level.sends)
        return published.tiny(budgets[0], nodes, _parameters(model.stem) + _parameters(model.head))
    blocks = published.rectangles(model.layout)
    small = isinstance(model.head, WiredClassifier)
    width = model.metadata.get("width")
    if width is not None:
        rate = published.prune_rate(width)
        return published.profile(blocks, rate, model.num_classes, small=small, alive=alive)
    head_edges = model.head.wiring.budget if isinstance(model.head, WiredClassifier) else None
    return published.profile_edges(blocks, budgets, model.num_classes, alive=alive, head_edges=head_edges)


def _parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _alive(model: WiredNetwork, graph: GraphArrays) -> published.Alive:
    """Which nodes have edges at all, live or not: all that the published convention asks."""
    layout = model.layout
    sends, hears = np.zeros(layout.num_nodes, dtype=bool), np.zeros(layout.num_nodes, dtype=bool)
    sends[graph.source] = True
    hears[graph.target] = True
    first, last = layout.levels[0], layout.levels[-1]
    return published.Alive(
        sources=tuple(
            int(sends[stage.levels[0].first : stage.levels[-1].first].sum()) for stage in layout.stages
        ),
        stem=int(sends[: first.size].sum()),
        outputs=int(hears[last.first : last.end].sum()),
    )


def _imported(model: WiredNetwork) -> Published | None:
    kept = model.metadata.get("published")
    if kept is None or kept["wiring_crc32"] != _wiring_crc32(model):
        return None
    return Published.from_dict(kept)


def _wiring_crc32(model: WiredNetwork) -> int:
    crc = 0
    for stage in model.wirings().values():
        crc = zlib.crc32(stage.cpu().numpy().astype("<i8").tobytes(), crc)
    return crc


def _head_ends(head: WiredClassifier) -> tuple[Integers, Integers]:
    return head.wiring.stage.ends(head.wiring.ids.cpu().numpy())
