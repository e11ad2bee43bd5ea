"""From a wiring as plain arrays back into a network."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Layout
from dnw_graph.interchange.check import check_graph
from dnw_graph.interchange.graph import RAW_NORM, Array, Graph
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.node_operation import BatchNorm, NodeOperation
from dnw_graph.models.stage import WiredStage


@torch.no_grad()
def load_into(model: WiredNetwork, graph: Graph, where: str = "graph") -> None:
    """Give a network the wiring, edge weights, kernels and norms of a graph. Stem and head stay.

    Each stage's budget becomes its number of edges in the graph, and candidate edges that are not in it get
    weight 0: the file says nothing of them, and so a top-k rule's next selection changes nothing.

    Norms come from norm_weight, norm_bias, norm_mean and norm_var where the graph has them, bit by bit.
    Otherwise scale and shift become weight and bias, and running statistics of batch norm become mean 0 and
    variance 1 - eps, which evaluates to the same; do not go on training from that, since in training the norm
    measures its batch.

    Raises InputError, and changes nothing, if the graph is no wiring or one of another network.
    """
    layout = check_graph(graph, where)
    _check_fits(model, graph, layout, where)
    wirings = [_wiring(stage, graph, index, where) for index, stage in enumerate(_stages(model))]
    for stage, (ids, weight) in zip(_stages(model), wirings, strict=True):
        stage.weight.copy_(weight)
        stage.budget = ids.numel()
        stage.select(ids)
    for level, operation in zip(layout.levels, model.body.operations, strict=False):
        assert isinstance(operation, NodeOperation)
        _set_operation(
            operation, {name: values[level.first : level.end] for name, values in graph.nodes.items()}
        )
    # It counts edges of the wiring that was imported before.
    model.metadata.pop("official", None)


def _stages(model: WiredNetwork) -> list[WiredStage]:
    return [stage for stage in model.body.stages if isinstance(stage, WiredStage)]


def _check_fits(model: WiredNetwork, graph: Graph, layout: Layout, where: str) -> None:
    if layout != model.layout:
        raise InputError(
            f"{where}: its levels ({_describe(layout)}) are not those of this {model.network} "
            f"({_describe(model.layout)}); build the network that the graph was saved from"
        )
    for level, operation in zip(layout.levels, model.body.operations, strict=False):
        assert isinstance(operation, NodeOperation)
        here = slice(level.first, level.end)
        if (found := set(graph.nodes["norm"][here].tolist())) != {model.body.norm}:
            other = (found - {model.body.norm}).pop()
            raise InputError(
                f"{where}: level {level.index} has {other} norm; this network has {model.body.norm} norm"
            )
        if (graph.nodes["eps"][here] != operation.norm.eps).any():
            raise InputError(
                f"{where}: eps of level {level.index} is not {operation.norm.eps:g}, as in this network"
            )


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


def _set_operation(operation: NodeOperation, values: dict[str, Array]) -> None:
    _copy(operation.kernel, values["kernel"][:, None])
    norm = operation.norm
    raw = RAW_NORM[0] in values
    _copy(norm.weight, values["norm_weight" if raw else "scale"])
    _copy(norm.bias, values["norm_bias" if raw else "shift"])
    if isinstance(norm, BatchNorm):
        assert norm.running_mean is not None
        assert norm.running_var is not None
        _copy(norm.running_mean, values["norm_mean"] if raw else np.zeros(len(values["eps"])))
        _copy(norm.running_var, values["norm_var"] if raw else 1 - values["eps"])


def _copy(mine: Tensor, values: Array) -> None:
    mine.copy_(torch.from_numpy(np.ascontiguousarray(values)))
