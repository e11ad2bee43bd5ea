"""Exponential moving average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from dnw_graph.models import is_wired
from dnw_graph.runs.rule_state import restore_rule_state, rule_state
from dnw_graph.runs.weights import load_weights


class AveragedWeights:
    """θ̄ ← decay · θ̄ + (1 − decay) · θ after each step; the first step copies.

    Only parameters are averaged. Running statistics are the trained model's. The wiring is chosen by the rule
    from the averaged candidate weights, whenever `model` is asked for.
    """

    def __init__(self, model: Any, decay: float) -> None:
        self._network = copy.deepcopy(model).requires_grad_(False)
        self._average = get_ema_multi_avg_fn(decay)
        self.steps = 0

    @torch.no_grad()
    def update(self, model: Any) -> None:
        """Take in the weights that an optimiser step just left."""
        averaged, weights = list(self._network.parameters()), list(model.parameters())
        if self.steps == 0:
            torch._foreach_copy_(averaged, weights)
        else:
            self._average(averaged, weights, self.steps)
        self.steps += 1

    def model(self, trained: Any, step: int) -> Any:
        """The averaged network with the trained one's running statistics and a wiring of its own."""
        averaged = dict(self._network.named_parameters())
        self._network.load_state_dict({**trained.state_dict(), **averaged})
        if is_wired(trained):
            self._network.set_budgets(trained.budgets())
            # A rule's memory is the trained network's, copied: choosing from averages may change it.
            restore_rule_state(self._network, copy.deepcopy(rule_state(trained)))
            self._network.reselect(step)
        return self._network

    def load_state(self, tensors: Mapping[str, Tensor], steps: int, source: Path) -> None:
        """Take back what `model(...).state_dict()` gave, averaged over `steps` steps.

        Raises InputError, naming `source`, when the tensors are those of another network.
        """
        load_weights(self._network, tensors, source)
        self.steps = steps
