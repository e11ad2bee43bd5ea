"""MACs and parameters of dense networks: one formula per kind of layer, rolled up per part.

Convolution: outputs x kernel area x input channels of a group. Linear: inputs x outputs. Nothing else costs
MACs here: norms, ReLU, pooling, sums, biases, and ShuffleNet's channel shuffle are free.
"""

from __future__ import annotations

import copy
from collections import defaultdict

import torch
from torch import Tensor, nn

from dnw_graph.accounting.report import Part, Report, StageCount

_STEM = ("stem", "conv1")
_HEAD = ("classifier", "fc")


def count_dense(model: nn.Module) -> Report:
    """Count a dense baseline (with `num_classes` and `image_size`) for one of its images.

    Runs a copy without storage, so neither the weights nor the mode of `model` change.
    """
    probe = copy.deepcopy(model).to("meta").eval()
    macs: dict[str, int] = {}

    def record(name: str, layer: nn.Module, output: Tensor) -> None:
        macs[name] = _layer_macs(layer, output)

    for name, layer in probe.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(lambda layer, _, output, name=name: record(name, layer, output))
    side = int(model.image_size)  # type: ignore[arg-type]
    with torch.no_grad():
        probe(torch.empty(1, 3, side, side, device="meta"))

    part_params: dict[str, int] = defaultdict(int)
    part_macs: dict[str, int] = defaultdict(int)
    for name, layer in probe.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            part_params[_part(name)] += layer.weight.numel()
            part_macs[_part(name)] += macs.get(name, 0)
    total = sum(parameter.numel() for parameter in probe.parameters())
    parts = {name: Part(part_params[name], part_macs[name]) for name in part_params}
    nothing = Part(0, 0)
    return Report(
        network=type(model).__name__,
        image_size=side,
        num_classes=int(model.num_classes),  # type: ignore[arg-type]
        stem=next((parts.pop(name) for name in _STEM if name in parts), nothing),
        head=next((parts.pop(name) for name in _HEAD if name in parts), nothing),
        stages=tuple(StageCount(name=name, params=p.params, macs=p.macs) for name, p in parts.items()),
        norm_and_bias_params=total - sum(part_params.values()),
    )


def _layer_macs(layer: nn.Module, output: Tensor) -> int:
    """MACs of one layer for a batch of one image."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    # One output value takes one filter: the weights of one output channel.
    return output.numel() * weight[0].numel()


def _part(layer_name: str) -> str:
    """blocks.3.0.0 -> blocks.3; stage2.0.branch1.0 -> stage2; classifier -> classifier."""
    first, *rest = layer_name.split(".")
    return f"{first}.{rest[0]}" if first == "blocks" else first
