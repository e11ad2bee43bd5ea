"""From a wiring as plain arrays back into a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout, Level
from dnw_graph.models.body import Body
from dnw_graph.models.dynamic import DynamicBody
from dnw_graph.models.node_operation import BatchNorm, InstanceNorm, NodeOperation
from dnw_graph.models.stage import WiredStage
from dnw_graph.portable.check import check_graph
from dnw_graph.portable.graph import Array, Graph
from dnw_graph.portable.schema import RAW_NORM, order_of


@torch.no_grad()
def load_into(body: Body, graph: object, network: str, where: str = "graph") -> None:
    """Give a network's body the wiring, edge weights, kernels and norms of a graph.

    network, where  what the network and the graph are called in a refusal

    Each stage's budget becomes its number of edges in the graph, and candidate edges that are not in it get
    weight 0: the file says nothing of them, and so a top-k rule's next selection changes nothing.

    Norms come from norm_weight, norm_bias, norm_mean and norm_var where the graph has them, bit by bit.
    Otherwise scale and shift become weight and bias, and running statistics of batch norm become mean 0 and
    variance 1 - eps, which evaluates to the same; do not go on training from that, since in training the norm
    measures its batch.

    Dead nodes may have been left out of the graph; what they compute stays, which no output depends on.

    Raises InputError, and changes nothing, if the graph is no wiring, one stage of one, or one of another
    network.
    """
    if not isinstance(graph, Graph):
        found = type(graph).__name__
        raise InputError(f"a loaded graph is wanted, not {found}; dnw_graph.load_graph(path) reads one")
    layout = check_graph(graph, where, allow_part=True)
    if "stage" in graph.attributes.get("part", {}):
        raise InputError(f"{where}: holds one stage of a wiring; export it without choosing a stage")
    if layout != body.layout:
        raise InputError(
            f"{where}: its levels ({_describe(layout)}) are not those of this {network} "
            f"({_describe(body.layout)}); build the network that the graph was saved from"
        )
    _check_fits(body, graph, layout, where)
    wirings = [_wiring(stage, graph, index, where) for index, stage in enumerate(_stages(body))]
    for stage, (ids, weight) in zip(_stages(body), wirings, strict=True):
        stage.weight.copy_(weight)
        stage.budget = ids.numel()
        stage.select(ids)
    for level, module in _modules(body):
        rows = _rows(graph, level)
        channels = torch.from_numpy(graph.nodes["channel"][rows])
        _set(module, channels, {name: values[rows] for name, values in graph.nodes.items()})


def _stages(body: Body) -> list[WiredStage]:
    return [stage for stage in body.stages if isinstance(stage, WiredStage)]


def _check_fits(body: Body, graph: Graph, layout: Layout, where: str) -> None:
    order = order_of(body.spec.activation, is_dynamic=layout.evaluations is not None)
    if (found := graph.attributes["node_operation"]) != order:
        raise InputError(f"{where}: node_operation is {found!r}; in this network it is {order!r}")
    for level, module in _modules(body):
        here, norm = _rows(graph, level), module.norm if isinstance(module, NodeOperation) else module
        if not isinstance(norm, (BatchNorm, InstanceNorm)):
            continue
        mine = "batch" if isinstance(norm, BatchNorm) else "instance"
        if others := set(graph.nodes["norm"][here].tolist()) - {mine}:
            found = f"level {level.index} has {others.pop()} norm"
            raise InputError(f"{where}: {found}; this network has {mine} norm")
        if (graph.nodes["eps"][here] != norm.eps).any():
            raise InputError(f"{where}: eps of level {level.index} is not {norm.eps:g}, as in this network")


def _rows(graph: Graph, level: Level) -> slice:
    """Positions of a level's nodes, of which some may have been left out."""
    first, end = np.searchsorted(graph.numbers, [level.first, level.end]).tolist()
    return slice(first, end)


def _describe(layout: Layout) -> str:
    sizes = [
        [level.size for level in layout.levels if level.stage == stage]
        for stage in range(-1, len(layout.stages))
    ]
    stages = " | ".join(" ".join(map(str, members)) for members in sizes)
    return f"{stages} nodes, strides {' '.join(str(level.stride) for level in layout.levels)}"


def _wiring(stage: WiredStage, graph: Graph, index: int, where: str) -> tuple[Tensor, Tensor]:
    """(ids [k] int64 ascending, weight of all candidates [E]) of one stage."""
    (mine,) = np.nonzero(graph.edge_stage == index)
    mine = mine[np.argsort(graph.edges["id"][mine])]
    ids = torch.from_numpy(graph.edges["id"][mine]).to(stage.weight.device)
    wanted = torch.from_numpy(graph.edges["weight"][mine]).to(stage.weight)
    weight = torch.zeros_like(stage.weight)
    weight[ids] = wanted
    if not torch.equal(stage.effective(weight)[ids], wanted):
        rule = type(stage.rule).__name__
        raise InputError(
            f"{where}: rule {rule} transforms weights and cannot hold those of {stage.name}; use top_k"
        )
    return ids, weight


def _modules(body: Body) -> list[tuple[Level, nn.Module]]:
    """What a graph's nodes say of the body's modules: node operations, and a norm after the messages."""
    levels = body.layout.levels
    found: list[tuple[Level, nn.Module]] = list(zip(levels, body.operations, strict=False))
    return [*found, (levels[-1], body.norm)] if isinstance(body, DynamicBody) else found


def _set(module: nn.Module, channels: Tensor, values: dict[str, Array]) -> None:
    """values  name → one entry for each of the channels [k] int64"""
    norm, raw = module.norm if isinstance(module, NodeOperation) else module, RAW_NORM[0] in values

    def put(mine: Tensor, given: Array) -> None:
        mine[channels.to(mine.device)] = torch.from_numpy(np.ascontiguousarray(given)).to(mine)

    if isinstance(module, NodeOperation):
        put(module.kernel, values["kernel"][:, None])
    if isinstance(norm, (BatchNorm, InstanceNorm)):
        put(norm.weight, values["norm_weight" if raw else "scale"])
        put(norm.bias, values["norm_bias" if raw else "shift"])
    if isinstance(norm, BatchNorm):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        put(norm.running_mean, values["norm_mean"] if raw else np.zeros(len(values["eps"])))
        put(norm.running_var, values["norm_var"] if raw else 1 - values["eps"])
