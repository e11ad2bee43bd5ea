"""Activations as torch computes them, by name, with their slopes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Function(NamedTuple):
    """forward(x) = a(x);  backward(g, x) = g · a'(x), the slope at a kink being 0."""

    forward: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor], Tensor]


ACTIVATIONS: dict[str, Function] = {
    "relu": Function(F.relu, lambda g, x: g * (x > 0)),
    "relu6": Function(F.relu6, lambda g, x: g * ((x > 0) & (x < 6))),
    "hardswish": Function(F.hardswish, torch.ops.aten.hardswish_backward),
    "silu": Function(F.silu, torch.ops.aten.silu_backward),
    "identity": Function(lambda x: x, lambda g, x: g),
}
