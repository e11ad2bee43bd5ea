"""What a node computes between hearing and sending: the node operation as one record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NormKind = Literal["batch", "instance", "affine", "none"]
Activation = Literal["relu", "relu6", "hardswish", "silu", "identity"]


@dataclass(frozen=True)
class NodeSpec:
    """h = convolution(activation(norm(z))), each node by itself; no bias, padding keeps the middle.

    norm         batch: running statistics, or the batch's in training; instance: statistics of each map;
                 affine: scale and shift only, what is left of a batch norm in inference; none
    activation   by name; each executor has a table of those that it knows
    kernel_size  side of the single-channel convolution, odd
    stride       of the convolution
    eps          added to the variance by batch and instance norm
    """

    norm: NormKind
    activation: Activation = "relu"
    kernel_size: int = 3
    stride: int = 1
    eps: float = 1e-5

    def __str__(self) -> str:
        step = f" stride {self.stride}" if self.stride > 1 else ""
        return f"{self.norm}, {self.activation}, {self.kernel_size}×{self.kernel_size}{step}"
