"""Tiny networks of the 2019 program: static, discrete and continuous time."""

from __future__ import annotations

from torch import nn

from dnw_graph.accounting.model import remember_published
from dnw_graph.accounting.published import tiny
from dnw_graph.interchange.official_tensors import RULES, Tensors, WrongNetworkError, agree, copy, wire
from dnw_graph.models.dynamic import DynamicBody
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.node_operation import InstanceNorm, NodeOperation
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.tiny_dynamic import tiny_continuous_time, tiny_discrete_time
from dnw_graph.models.tiny_static import tiny_static


def import_tiny_static(
    tensors: Tensors, graph: str, prune_rate: float, image_size: int | None, num_classes: int | None
) -> WiredNetwork:
    classes, readout = tensors.shape("fc.weight", 2)
    agree(tensors.name, classes, num_classes)
    groups: list[int] = []
    while f"norm.{len(groups)}.weight" in tensors.left:
        groups.append(tensors.shape(f"norm.{len(groups)}.weight", 1)[0])
    nodes, hidden = tensors.shape("conv.weight", 4)[0], tensors.shape("downsample.0.weight", 4)[0]
    if sum(groups) != nodes:
        raise WrongNetworkError(
            f"{tensors.name}: its norms cover {sum(groups)} of {nodes} nodes; this is no tiny_static file"
        )
    if readout > groups[-1]:
        raise WrongNetworkError(
            f"{tensors.name}: fc.weight reads {readout} nodes, but the last group has {groups[-1]}"
        )
    model = tiny_static(
        rule=RULES[graph],
        num_classes=classes,
        image_size=image_size or 32,
        density=1.0,
        groups=groups,
        readout=readout,
        stem_channels=hidden,
    )
    _fill_around(model, tensors)
    kernels = tensors.take("conv.weight", (nodes, 1, 3, 3)).split(groups)
    for number, (operation, kernel) in enumerate(zip(model.body.operations, kernels, strict=True)):
        assert isinstance(operation, NodeOperation)
        assert isinstance(operation.norm, InstanceNorm)
        tensors.fill(operation.norm, f"norm.{number}")
        copy(operation.kernel, kernel)
    wired = model.body.stages[0]
    assert isinstance(wired, WiredStage)
    pruned = int(prune_rate * nodes * nodes)
    wire(model, wired, tensors, "graph", (nodes, nodes), 0, 0, graph, pruned)
    _remember(model, nodes)
    return model


def import_tiny_dynamic(
    tensors: Tensors,
    network: str,
    graph: str,
    prune_rate: float,
    image_size: int | None,
    num_classes: int | None,
) -> WiredNetwork:
    """Discrete or continuous time; the latter with the side effect of 2019, which its results contain."""
    within = "odesolve.odefunc." if network == "tiny_continuous_time" else ""
    classes, readout = tensors.shape("fc.weight", 2)
    agree(tensors.name, classes, num_classes)
    nodes, hidden = tensors.shape(f"{within}conv.weight", 4)[0], tensors.shape("downsample.0.weight", 4)[0]
    inputs = tensors.shape("downsample.4.weight", 4)[0]
    if max(readout, inputs) > nodes:
        raise WrongNetworkError(
            f"{tensors.name}: {nodes} nodes cannot have {inputs} inputs and {readout} outputs"
        )
    build, own = (tiny_continuous_time, {"inplace_relu": True}) if within else (tiny_discrete_time, {})
    model = build(
        rule=RULES[graph],
        num_classes=classes,
        image_size=image_size or 32,
        density=1.0,
        nodes=nodes,
        inputs=inputs,
        readout=readout,
        stem_channels=hidden,
        **own,
    )
    _fill_around(model, tensors)
    body = model.body
    assert isinstance(body, DynamicBody)
    (operation,) = body.operations
    assert isinstance(operation, NodeOperation)
    copy(operation.kernel, tensors.take(f"{within}conv.weight", (nodes, 1, 3, 3)))
    tensors.fill(body.norm, f"{within}norm")
    pruned = int(prune_rate * nodes * nodes)
    wire(model, body.wired, tensors, f"{within}graph", (nodes, nodes), nodes, 0, graph, pruned)
    _remember(model, nodes)
    return model


def _fill_around(model: WiredNetwork, tensors: Tensors) -> None:
    """Stem and classifier."""
    tensors.left.pop("zeros", None)
    stem = model.stem
    layers = (stem.conv, stem.conv_norm, None, stem.depthwise, stem.pointwise, stem.norm)
    for position, layer in enumerate(layers):
        if isinstance(layer, nn.Module):
            tensors.fill(layer, f"downsample.{position}")
    tensors.fill(model.head.linear, "fc")  # type: ignore[arg-type]


def _remember(model: WiredNetwork, nodes: int) -> None:
    """Published counts, from the full rectangle."""
    parts = (model.stem, model.head)
    around = sum(parameter.numel() for part in parts for parameter in part.parameters())
    (wired,) = model.body_stages()
    remember_published(model, tiny(model.facts.official[wired.name].kept, nodes, around))
