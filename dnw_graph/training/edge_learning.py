"""Which candidate weights learn, and what the optimiser remembers of edges that enter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dnw_graph.models.network import WiredNetwork
from dnw_graph.wiring.rule import entered_edges


@contextmanager
def selected_learning(model: nn.Module) -> Iterator[None]:
    """Around the optimiser's step, for rules with `learns = "selected"`: other weights stay what they are.

    The optimiser gets gradient 0 outside the wiring; neither weight decay nor momentum moves weights there.
    Afterwards the gradients are the loss's again, for rules that look at them.
    """
    kept: list[tuple[nn.Parameter, Tensor, Tensor, Tensor]] = []
    for weight, ids in _weights(model, learns="selected"):
        if weight.grad is not None:
            inside = torch.zeros_like(weight, dtype=torch.bool)
            inside[ids] = True
            kept.append((weight, weight.grad, inside, weight.detach().clone()))
            weight.grad = torch.where(inside, weight.grad, 0)
    yield
    for weight, gradient, inside, before in kept:
        weight.grad = gradient
        with torch.no_grad():
            weight.copy_(torch.where(inside, weight, before))


@contextmanager
def fresh_memory(model: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Around a rewiring, for rules with `forgets`: what the optimiser remembers of edges that enter is 0.

    Its memory are all tensors of the weight's shape in its state: momentum, AdamW's moments and the like.
    """
    before = [(weight, ids) for weight, ids in _weights(model, forgets=True)]
    yield
    for (weight, old), (_, new) in zip(before, _weights(model, forgets=True), strict=True):
        entered = entered_edges(old, new, weight)
        for memory in optimizer.state.get(weight, {}).values():
            if isinstance(memory, Tensor) and memory.shape == weight.shape:
                memory.masked_fill_(entered, 0)


def _weights(model: nn.Module, **said: object) -> list[tuple[nn.Parameter, Tensor]]:
    """Candidate weights and selected ids of the stages whose rule says so; none of a dense network."""
    if not isinstance(model, WiredNetwork):
        return []
    return [
        (stage.weight, stage.selected)
        for _, stage in model.wired_stages()
        if all(getattr(stage.rule, name) == value for name, value in said.items())
    ]
