"""Weight decay, and another one for candidate edges outside the wiring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from dnw_graph.config.schema import Optimizer


def parameter_groups(model: Any, options: Optimizer) -> list[dict[str, Any]]:
    """Parameter groups for torch.optim.SGD.

    All parameters alike; or, given optimizer.unselected_weight_decay, candidate weights apart with it.
    The optimiser knows no wiring: `selected_decay` makes up the difference on selected edges.
    """
    if options.unselected_weight_decay is None:
        return [{"params": list(model.parameters()), "weight_decay": options.weight_decay}]
    candidates = [stage.weight for _, stage in model.wired_stages()]
    special = {id(parameter) for parameter in candidates}
    others = [parameter for parameter in model.parameters() if id(parameter) not in special]
    return [
        {"params": others, "weight_decay": options.weight_decay},
        {"params": candidates, "weight_decay": options.unselected_weight_decay},
    ]


@contextmanager
def selected_decay(model: Any, options: Optimizer) -> Iterator[None]:
    """Around the optimiser's step: on selected edges it sees ∂L/∂w + (weight_decay − unselected) · w.

    Afterwards the gradients are the loss's again, for rules that look at them.
    """
    if options.unselected_weight_decay is None:
        yield
        return
    difference = options.weight_decay - options.unselected_weight_decay
    gradients: list[tuple[nn.Parameter, torch.Tensor]] = []
    for _, stage in model.wired_stages():
        weight, ids = stage.weight, stage.selected
        if weight.grad is not None:
            gradients.append((weight, weight.grad))
            weight.grad = weight.grad.clone()
            weight.grad[ids] += difference * weight.detach()[ids]
    yield
    for weight, gradient in gradients:
        weight.grad = gradient
