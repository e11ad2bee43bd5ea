"""Activations by name, one table per executor; the names are those of torch.nn.functional."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

IN_NUMPY: dict[str, Callable[[Any], Any]] = {
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "hardswish": lambda x: x * np.clip(x + 3, 0, 6) / 6,
    # x · sigmoid(x); of a large −x, exp would overflow.
    "silu": lambda x: x * (1 + np.tanh(x / 2)) / 2,
    "identity": lambda x: x,
}
