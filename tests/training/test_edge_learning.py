"""Which candidate weights learn, and what an optimiser remembers of edges that enter."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.training import train
from dnw_graph.training.edge_learning import fresh_memory, selected_learning
from dnw_graph.training.session import Session
from dnw_graph.wiring import TopK, register
from dnw_graph.wiring import rule as rule_module

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
OPTIMISERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.3, momentum=0.9, weight_decay=0.1),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, weight_decay=0.5, amsgrad=True),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.05, momentum=0.9),
    "Adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.1, weight_decay=0.1),
}


@pytest.fixture(autouse=True)
def _rules(monkeypatch):
    monkeypatch.setattr(rule_module, "_RULES", dict(rule_module._RULES))

    @register("only_the_wiring_learns")
    class OnlyTheWiringLearns(TopK):
        learns, forgets = "selected", True

        def sees(self, step):
            return step % 2 == 0


def small(rule):
    torch.manual_seed(0)
    sizes = {"groups": (4, 6, 6), "readout": 4, "stem_channels": 3}
    return tiny_static(rule=rule, num_classes=3, edges=60, **sizes).train()


def backward(model):
    model.zero_grad(set_to_none=True)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    F.cross_entropy(model(images), torch.arange(4) % 3).backward()
    return model.body.stages[0]


def outside_of(stage):
    outside = torch.ones_like(stage.weight, dtype=torch.bool)
    outside[stage.selected] = False
    return outside


def memory_of(optimizer, weight):
    return [each for each in optimizer.state[weight].values() if each.shape == weight.shape]


@pytest.mark.parametrize("name", OPTIMISERS)
def test_weights_outside_the_wiring_stay_though_they_see_a_gradient(name):
    model = small("only_the_wiring_learns")
    optimizer = OPTIMISERS[name](model.parameters())
    for step in range(4):
        stage = backward(model)
        outside = outside_of(stage)
        assert bool(stage.weight.grad[outside].any()) == (step % 2 == 0)
        before, seen = stage.weight.detach().clone(), stage.weight.grad.clone()
        with selected_learning(model):
            optimizer.step()
        assert torch.equal(stage.weight[outside], before[outside])
        assert (stage.weight != before)[~outside].any()
        assert torch.equal(stage.weight.grad, seen)
        if optimizer.defaults["weight_decay"] == 0 or name == "AdamW":
            # Elsewhere decay is part of the gradient, and memory takes it in.
            assert not any(memory[outside].any() for memory in memory_of(optimizer, stage.weight))
        stage.at_step(step + 1)


@pytest.mark.parametrize("name", OPTIMISERS)
def test_the_memory_of_edges_that_enter_is_empty(name):
    model = small("only_the_wiring_learns")
    optimizer = OPTIMISERS[name](model.parameters())
    stage = backward(model)
    optimizer.step()
    old = set(stage.selected.tolist())
    with torch.no_grad():
        stage.weight[outside_of(stage).nonzero().squeeze(1)[:5]] = 9.0
    before = [memory.clone() for memory in memory_of(optimizer, stage.weight)]
    assert before
    with fresh_memory(model, optimizer):
        model.rewire(1)
    entered = torch.tensor(sorted(set(stage.selected.tolist()) - old))
    assert 5 <= len(entered) < len(old)
    for was, now in zip(before, memory_of(optimizer, stage.weight), strict=True):
        was[entered] = 0
        assert torch.equal(now, was)


def test_other_rules_learn_and_remember_as_ever():
    model, twin = small("top_k"), small("top_k")
    optimizers = [OPTIMISERS["AdamW"](each.parameters()) for each in (model, twin)]
    for step in range(1, 5):
        backward(model)
        with selected_learning(model):
            optimizers[0].step()
        with fresh_memory(model, optimizers[0]):
            entered = model.rewire(step)
        backward(twin)
        optimizers[1].step()
        assert twin.rewire(step) == entered
    assert all(map(torch.equal, model.parameters(), twin.parameters()))
    mine, theirs = (
        memory_of(each, network.body.stages[0].weight)
        for each, network in zip(optimizers, (model, twin), strict=True)
    )
    assert all(map(torch.equal, mine, theirs))


def test_a_dense_network_has_nothing_to_keep():
    model = torch.nn.Linear(2, 2)
    with selected_learning(model), fresh_memory(model, torch.optim.SGD(model.parameters(), lr=0.1)):
        pass


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_published_rules_of_the_page_train_as_a_plugin(tmp_path, config_file, command, records, name):
    """46 steps, a rewiring at 10, 20, 30 and 40; what came in learned, what is out did not move."""
    plugin, run = tmp_path / "mine.py", tmp_path / "run"
    plugin.write_text(next(block for block in BLOCKS if f'@register("{name}")' in block))
    options = "{every: 10, fraction: 0.5}"
    arguments = ["--config", config_file(), "--plugin", plugin, "--run-dir", run]
    arguments += ["--set", f"model.rule={name}", "--set", f"model.rule_options={options}"]
    code, _, err = command("train", *arguments)
    assert code == 0, err
    swaps = {record["step"]: record["swaps"] for record in records(run, "step")}
    assert set(swaps) >= {10, 20, 30, 40}
    assert all(swaps[step] > 5 for step in (10, 20, 30, 40))
    assert sum(swaps.values()) < 4 * 45 + 1
    assert "every: 10" in (run / "config.yaml").read_text()
    state = load_file(run / "checkpoints/last/model.safetensors")
    momentum = load_file(run / "checkpoints/last/optimizer.safetensors")
    weight, ids = state["body.stages.0.weight"], state["body.stages.0.selected"]
    outside = torch.ones(len(weight), dtype=torch.bool)
    outside[ids] = False
    assert momentum["momentum_buffer.body.stages.0.weight"][ids].count_nonzero() == len(ids)
    if name == "rigl":
        assert (weight[ids] != 0).all()
    assert json.loads((run / "checkpoints/last/state.json").read_text())["plugins"]
    code, _, err = command(
        "train", *arguments[:-1], "model.rule_options={evry: 10}", "--run-dir", tmp_path / "b"
    )
    assert code == 2
    assert "model.rule_options.evry is no option of rule " + name + "; did you mean every?" in err


def test_rigl_goes_on_bit_for_bit(tmp_path, recipe, monkeypatch):
    plugin = tmp_path / "mine.py"
    plugin.write_text(BLOCKS[0])
    cfg = recipe(
        "model.rule=rigl",
        "model.rule_options={every: 10}",
        "training.ema_decay=0.9",
        "checkpoint.every_steps=10",
    )
    train(cfg, tmp_path / "whole", plugin=plugin)
    original = Session.step

    def stopped(self, parts):
        if self.position.step == 25:
            raise KeyboardInterrupt
        original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(cfg, tmp_path / "parts", plugin=plugin)
    train(cfg, tmp_path / "parts", plugin=plugin, resume="auto")
    for file in ("model", "optimizer", "ema"):
        whole, parts = (
            load_file(tmp_path / run / f"checkpoints/last/{file}.safetensors") for run in ("whole", "parts")
        )
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[key], parts[key]) for key in whole)
