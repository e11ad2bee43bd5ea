"""MACs of torch layers: one formula per kind.

Convolution: outputs x kernel area x input channels of a group. Linear: inputs x outputs. Nothing else costs
MACs here: norms, ReLU, pooling, sums, biases, and ShuffleNet's channel shuffle are free.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

COUNTED = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class LayerCount:
    """One convolution or linear layer, for one image.

    params    weights without bias
    macs      multiply-accumulates
    channels  output channels
    side      of its output map, in pixels; 1 for a linear layer
    """

    params: int
    macs: int
    channels: int
    side: int


def count_layers(module: nn.Module, image: tuple[int, ...]) -> dict[str, LayerCount]:
    """Counted layers of a module by name, for an input of that shape, in the order in which they run.

    Runs a copy, so neither the statistics nor the mode of `module` change.
    """
    probe = copy.deepcopy(module).to("cpu", torch.float32).eval()
    counts: dict[str, LayerCount] = {}

    def watch(name: str, layer: nn.Module) -> None:
        def record(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            weight = layer.weight
            assert isinstance(weight, Tensor)
            # One output value takes one filter: the weights of one output channel.
            macs = output.numel() * weight[0].numel()
            side = output.shape[-1] if output.dim() == 4 else 1
            counts[name] = LayerCount(weight.numel(), macs, weight.shape[0], side)

        layer.register_forward_hook(record)

    for name, layer in probe.named_modules():
        if isinstance(layer, COUNTED):
            watch(name, layer)
    with torch.no_grad():
        probe(torch.zeros(image))
    return counts
