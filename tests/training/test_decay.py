"""Weight decay on selected and unselected edges, by hand."""

from __future__ import annotations

import torch

from dnw_graph.models import build_model
from dnw_graph.training.decay import parameter_groups, selected_decay


def test_selected_and_unselected_edges_decay_each_at_their_own_rate(recipe):
    cfg = recipe("optimizer.weight_decay=0.5", "optimizer.unselected_weight_decay=0.25", "model.edges=2")
    model = build_model(cfg)
    stage = model.body.stages[0]
    with torch.no_grad():
        stage.weight.fill_(1.0)
        stage.weight[[3, 7]] = 2.0
    model.rewire()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    linear = model.head.linear.weight.detach().clone()
    optimizer = torch.optim.SGD(parameter_groups(model, cfg.optimizer), lr=0.1)
    with selected_decay(model, cfg.optimizer):
        optimizer.step()
    expected = torch.full_like(stage.weight, 1 - 0.1 * 0.25)
    expected[[3, 7]] = 2 * (1 - 0.1 * 0.5)
    assert torch.allclose(stage.weight, expected)
    assert torch.allclose(model.head.linear.weight, linear * (1 - 0.1 * 0.5))
    assert not stage.weight.grad.any(), "a rule would take decay for a gradient of the loss"


def test_one_decay_for_all_without_the_option(recipe):
    cfg = recipe("optimizer.weight_decay=0.5")
    model = build_model(cfg)
    (group,) = parameter_groups(model, cfg.optimizer)
    assert group["weight_decay"] == 0.5
    assert len(group["params"]) == len(list(model.parameters()))
