"""Counting a dense network: its layers, rolled up per part."""

from __future__ import annotations

from collections import defaultdict

from torch import nn

from dnw_graph.accounting.layers import count_layers
from dnw_graph.accounting.report import Part, Report, StageCount

_STEM = ("stem", "conv1")
_HEAD = ("classifier", "fc")


def count_dense(model: nn.Module) -> Report:
    """Count a dense baseline (with `num_classes` and `image_size`) for one of its images."""
    side = int(model.image_size)  # type: ignore[arg-type]
    params: dict[str, int] = defaultdict(int)
    macs: dict[str, int] = defaultdict(int)
    for name, layer in count_layers(model, (1, 3, side, side)).items():
        params[_part(name)] += layer.params
        macs[_part(name)] += layer.macs
    parts = {name: Part(params[name], macs[name]) for name in params}
    nothing = Part(0, 0)
    return Report(
        network=type(model).__name__,
        image_size=side,
        num_classes=int(model.num_classes),  # type: ignore[arg-type]
        stem=next((parts.pop(name) for name in _STEM if name in parts), nothing),
        head=next((parts.pop(name) for name in _HEAD if name in parts), nothing),
        stages=tuple(StageCount(name=name, params=p.params, macs=p.macs) for name, p in parts.items()),
        norm_and_bias_params=sum(p.numel() for p in model.parameters()) - sum(params.values()),
    )


def _part(layer_name: str) -> str:
    """blocks.3.0.0 -> blocks.3; stage2.0.branch1.0 -> stage2; classifier -> classifier."""
    first, *rest = layer_name.split(".")
    return f"{first}.{rest[0]}" if first == "blocks" else first
