"""MobileNetV1-like networks of the 2019 program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from dnw_graph.accounting.model import remember_published
from dnw_graph.accounting.published import alive_in, block_prune_rate, profile, rectangles
from dnw_graph.interchange.official_tensors import RULES, Tensors, agree, copy, wire
from dnw_graph.models.heads import LinearHead, WiredClassifier
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.node_operation import NodeOperation
from dnw_graph.models.stage import WiredStage

Blocks = Sequence[tuple[int, int, int, int]]


def import_mobilenet(
    tensors: Tensors,
    graph: str,
    prune_rate: float,
    small: bool,
    image_size: int | None,
    num_classes: int | None,
    blocks: Blocks,
) -> WiredNetwork:
    classes = tensors.shape("linear.graph.weight", 4)[0] if small else tensors.shape("linear.weight", 2)[0]
    agree(tensors.name, classes, num_classes)
    model = mobilenet_v1(
        rule=RULES[graph],
        num_classes=classes,
        image_size=image_size or (224 if classes == 1000 else 32),
        density=1.0,
        small=small,
        blocks=blocks,
    )
    tensors.fill(model.stem.conv, "conv1")  # type: ignore[arg-type]
    table, effective = rectangles(model.layout), []
    for index, (_, width, _, count) in enumerate(blocks):
        stage = model.body.stages[index]
        assert isinstance(stage, WiredStage)
        where = f"layers.{index}"
        senders = [model.body.operations[level.index] for level in stage.stage.levels[:-1]]
        rows = width * (count - 1)
        kernels = [tensors.take(f"{where}.downsample.0.weight", (stage.stage.levels[0].size, 1, 3, 3))]
        if rows:
            kernels += tensors.take(f"{where}.conv.weight", (rows, 1, 3, 3)).split(width)
        for number, (operation, kernel) in enumerate(zip(senders, kernels, strict=True)):
            assert isinstance(operation, NodeOperation)
            tensors.fill(operation.norm, f"{where}.norm.{number}")
            copy(operation.kernel, kernel)
        first_target, first_source = stage.stage.levels[1].first, stage.stage.levels[0].first
        shape = (width * count, stage.stage.levels[0].size + rows)
        pruned = int(block_prune_rate(table[index], prune_rate) * (shape[0] * shape[1]))
        effective.append(
            wire(model, stage, tensors, f"{where}.graph", shape, first_target, first_source, graph, pruned)
        )
    head = model.head
    assert isinstance(head, (LinearHead, WiredClassifier))
    tensors.fill(head.norm, "bn")
    if isinstance(head, WiredClassifier):
        shape = (classes, head.layout.levels[0].size)
        pruned = int(prune_rate * head.layout.levels[0].size * classes)
        wire(
            model, head.wiring, tensors, "linear.graph", shape, head.layout.levels[1].first, 0, graph, pruned
        )
    else:
        tensors.fill(head.linear, "linear")
    # Edges that are never read count in the published convention, and this model does not have them.
    model.facts = replace(model.facts, width=float(1 - Fraction(str(prune_rate))))
    alive = alive_in(effective, table)
    remember_published(model, profile(table, prune_rate, classes, small=small, alive=alive))
    return model
