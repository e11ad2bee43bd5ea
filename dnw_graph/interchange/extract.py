"""From a network to its wiring as plain arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.graph.status import STATUS_NAMES
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.portable.graph import Array, Graph, fold
from dnw_graph.portable.schema import FORMAT_VERSION, RAW_NORM, order_of
from dnw_graph.program.program import norm_of
from dnw_graph.program.steps import NodeOperation, Norm


def graph_of(model: torch.nn.Module) -> Graph:
    """The current wiring of a network's body, with what its nodes compute.

    `model.facts` may name `class_names` and `preprocessing`. The wired classifier of a Small network is
    part of the head; it counts in the nodes' status only.
    Raises InputError for a network without a wiring.
    """
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"a network or a loaded graph is wanted, not {type(model).__name__}")
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{type(model).__name__} is a dense network and has no wiring; export a wired one")
    data = model.wiring_data()
    nodes: dict[str, Array] = {**data.nodes, "status": np.array(STATUS_NAMES)[data.nodes["status"]]}
    nodes |= _operations(model)
    edges = {name: _array(values) for name, values in data.edges.items()}
    return Graph(nodes, edges, _attributes(model))


def _attributes(model: WiredNetwork) -> dict[str, object]:
    attributes = {
        "format_version": FORMAT_VERSION,
        "network": model.network,
        "rule": model.rule_name,
        "node_operation": order_of(
            model.body.spec.activation, is_dynamic=model.layout.evaluations is not None
        ),
        "input_resolution": model.image_size,
    }
    if model.layout.evaluations is not None:
        attributes |= {"evaluations": model.layout.evaluations, "inputs": model.layout.inputs}
    known = {name: getattr(model.facts, name) for name in ("class_names", "preprocessing")}
    return attributes | {name: value for name, value in known.items() if value is not None}


def _operations(model: WiredNetwork) -> dict[str, Array]:
    """Kernels and norms of all nodes, read off the network's program."""
    program, layout = lower(model), model.layout
    kind = np.full(layout.num_nodes, "none", dtype="<U8")
    eps = np.full(layout.num_nodes, np.nan)
    kernel = np.full((layout.num_nodes, 3, 3), np.nan, dtype=program.dtype)
    raw = {name: np.full(layout.num_nodes, np.nan, dtype=program.dtype) for name in RAW_NORM}
    levels = {f"z{level.index}": level for level in layout.levels}
    for step in program.flat():
        if not isinstance(step, (NodeOperation, Norm)) or step.source not in levels:
            continue
        level = levels[step.source]
        here = slice(level.first, level.end)
        if isinstance(step, NodeOperation):
            if (side := step.spec.kernel_size) != 3:
                raise InputError(f"level {level.index} has {side}×{side} kernels; files of wirings hold 3×3")
            kernel[here] = program.tensor(step, "kernel")
        elif step.part == "head":
            continue
        norm, norm_eps = norm_of(step)
        if norm == "none":
            continue
        kind[here], eps[here] = norm, norm_eps
        for name in RAW_NORM:
            if (values := program.optional(step, name)) is not None:
                raw[name][here] = values
    scale, shift = fold(raw, eps)
    return {"norm": kind, "scale": scale, "shift": shift, "eps": eps, "kernel": kernel, **raw}


def _array(tensor: Tensor) -> Array:
    """On the CPU, in a format that numpy has; the half-length ones fit into float32 without loss."""
    values = tensor.detach().cpu()
    return (values.float() if values.dtype in (torch.float16, torch.bfloat16) else values).numpy()
