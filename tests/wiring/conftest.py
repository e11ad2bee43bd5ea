"""Stages small enough to follow by hand, and rules that leave no trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.models.stage import WiredStage
from dnw_graph.wiring import Rule, TopK, rule


@pytest.fixture
def tiny_stage() -> Callable[..., WiredStage]:
    """tiny_stage(weights, k) → a stage from one source to as many targets as there are weights, wired."""

    def build(weights: Sequence[float], k: int, rule: Rule | None = None, **options) -> WiredStage:
        (stage,) = chain_of_stages([(1, len(weights), 1, 1)]).stages
        settings = {"name": "stage_0", "seed": 0} | options
        built = WiredStage(stage, TopK(), k, **settings)
        with torch.no_grad():
            built.weight.copy_(torch.tensor(weights))
        built.select(torch.empty(0, dtype=torch.int64))
        built.rule = rule or built.rule
        built.rewire()
        return built

    return build


@pytest.fixture(autouse=True)
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules registered by a test are forgotten after it."""
    monkeypatch.setattr(rule, "_RULES", dict(rule._RULES))
