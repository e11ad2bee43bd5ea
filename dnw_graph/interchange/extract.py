"""From a network to its wiring as plain arrays."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.graph.status import STATUS_NAMES
from dnw_graph.interchange.graph import Array, Graph, fold
from dnw_graph.interchange.schema import FORMAT_VERSION, NODE_OPERATION, RAW_NORM
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.node_operation import BatchNorm, NodeOperation


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
        "node_operation": NODE_OPERATION,
        "input_resolution": model.image_size,
    }
    known = {name: getattr(model.facts, name) for name in ("class_names", "preprocessing")}
    return attributes | {name: value for name, value in known.items() if value is not None}


def _operations(model: WiredNetwork) -> dict[str, Array]:
    """Kernels and norms of all nodes."""
    layout = model.layout
    sending = [level for level in layout.levels if level.sends]
    kind = np.full(layout.num_nodes, "none", dtype="<U8")
    eps = np.full(layout.num_nodes, np.nan)
    dtype = _array(model.body.stages[0].weight).dtype  # type: ignore[arg-type]
    kernel = np.full((layout.num_nodes, 3, 3), np.nan, dtype=dtype)
    raw = {name: np.full(layout.num_nodes, np.nan, dtype=dtype) for name in RAW_NORM}
    for level, operation in zip(sending, model.body.operations, strict=True):
        assert isinstance(operation, NodeOperation)
        here, norm = slice(level.first, level.end), operation.norm
        kind[here] = operation.spec.norm
        eps[here] = norm.eps
        kernel[here] = _array(operation.kernel)[:, 0]
        raw["norm_weight"][here], raw["norm_bias"][here] = _array(norm.weight), _array(norm.bias)
        if isinstance(norm, BatchNorm):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            raw["norm_mean"][here], raw["norm_var"][here] = (
                _array(norm.running_mean),
                _array(norm.running_var),
            )
    scale, shift = fold(raw, eps)
    return {"norm": kind, "scale": scale, "shift": shift, "eps": eps, "kernel": kernel, **raw}


def _array(tensor: Tensor) -> Array:
    """On the CPU, in a format that numpy has; the half-length ones fit into float32 without loss."""
    values = tensor.detach().cpu()
    return (values.float() if values.dtype in (torch.float16, torch.bfloat16) else values).numpy()
