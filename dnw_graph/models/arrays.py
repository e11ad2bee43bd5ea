"""Tensors of layers as arrays of a program."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dnw_graph.program.program import Array


def array(tensor: Tensor) -> Array:
    """A copy on the CPU, in a format that numpy has; the half-length ones fit into float32 without loss."""
    values = tensor.detach().cpu()
    return (values.float() if values.dtype in (torch.float16, torch.bfloat16) else values.clone()).numpy()


def layer_arrays(name: str, layer: nn.Module) -> Mapping[str, Array]:
    """A convolution's or linear layer's weight, and its bias if it has one."""
    found = {"weight": layer.weight, "bias": getattr(layer, "bias", None)}
    return {f"{name}.{leaf}": array(value) for leaf, value in found.items() if isinstance(value, Tensor)}


def norm_arrays(name: str, norm: nn.Module) -> Mapping[str, Array]:
    """A norm's own tensors; none of a layer that is no norm."""
    leaves = {
        "norm_weight": "weight",
        "norm_bias": "bias",
        "norm_mean": "running_mean",
        "norm_var": "running_var",
    }
    found = {leaf: getattr(norm, theirs, None) for leaf, theirs in leaves.items()}
    return {f"{name}.{leaf}": array(value) for leaf, value in found.items() if isinstance(value, Tensor)}
