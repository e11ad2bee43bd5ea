"""Weight decay, and another one for candidate edges outside the wiring."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dnw_graph.training.schema import Optimizer


def parameter_groups(model: nn.Module, options: Optimizer) -> list[dict[str, Any]]:
    """Parameter groups for torch.optim.SGD: all alike, or candidate weights with the decay of unselected ones.

    The optimiser knows no wiring: it decays every candidate edge as if unselected; `decay_selected` makes up
    the difference.
    """
    if options.unselected_weight_decay is None:
        return [{"params": list(model.parameters()), "weight_decay": options.weight_decay}]
    candidates = [parameter for parameter, _ in wired_parameters(model)]
    special = {id(parameter) for parameter in candidates}
    others = [parameter for parameter in model.parameters() if id(parameter) not in special]
    return [
        {"params": others, "weight_decay": options.weight_decay},
        {"params": candidates, "weight_decay": options.unselected_weight_decay},
    ]


@torch.no_grad()
def decay_selected(model: nn.Module, options: Optimizer) -> None:
    """Before the optimiser's step: ∂L/∂w += (weight_decay − unselected_weight_decay) · w on selected edges."""
    if options.unselected_weight_decay is None:
        return
    for parameter, ids in wired_parameters(model):
        if parameter.grad is not None:
            difference = options.weight_decay - options.unselected_weight_decay
            parameter.grad[ids] += difference * parameter[ids]


def wired_parameters(model: Any) -> list[tuple[nn.Parameter, Tensor]]:
    """(candidate weights [E], selected ids [k] int64) of each stage and of a wired classifier."""
    parameters = {f"stage_{stage}": model.candidates(stage).parameter for stage in range(model.num_stages)}
    wirings = model.wirings()
    if "head" in wirings:
        parameters["head"] = model.head.candidates().parameter
    return [(parameters[name], ids) for name, ids in wirings.items()]
