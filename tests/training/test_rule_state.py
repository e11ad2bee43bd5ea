"""A rule that remembers something goes on with the same bits."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dnw_graph.errors import InputError
from dnw_graph.runs.rule_state import rule_state
from dnw_graph.training import train
from dnw_graph.training.session import Session
from dnw_graph.wiring import Rule, StageView, register, strongest
from dnw_graph.wiring import rule as rule_module

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
(EXAMPLE,) = [
    block
    for block in re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    if "def load_state_dict" in block
]
OPTIONS = ("model.rule=strong_for_long", "training.ema_decay=0.9", "checkpoint.every_steps=10")


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr(rule_module, "_RULES", dict(rule_module._RULES))


@pytest.fixture
def plugin(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(EXAMPLE)
    return file


def tensors(run: Path) -> dict[str, dict[str, bytes]]:
    """All tensors of a run's checkpoints, as bytes."""
    return {
        str(path.relative_to(run)): {name: each.numpy().tobytes() for name, each in load_file(path).items()}
        for path in sorted(run.glob("checkpoints/*/*.safetensors"))
    }


def test_the_documented_example_goes_on_bit_for_bit(tmp_path, recipe, plugin, monkeypatch):
    """With averaged weights, which choose by a copy of the memory at every evaluation."""
    train(recipe(*OPTIONS), tmp_path / "whole", plugin=plugin)
    original = Session.step

    def stopped(self, parts):
        if self.position.step == 25:
            raise KeyboardInterrupt
        original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", stopped)
        with pytest.raises(KeyboardInterrupt):
            train(recipe(*OPTIONS), tmp_path / "run", plugin=plugin)
    train(recipe(*OPTIONS), tmp_path / "run", plugin=plugin, resume="auto")
    assert tensors(tmp_path / "run") == tensors(tmp_path / "whole")
    assert set(tensors(tmp_path / "run")["checkpoints/last/rule.safetensors"]) == {"stage_0"}


def test_a_rule_without_memory_adds_no_file(tmp_path, recipe):
    train(recipe("training.epochs=1"), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("rule.safetensors"))


class Forgetful(Rule):
    def choose(self, view: StageView) -> torch.Tensor:
        return strongest(view.weight, view.k)

    def state_dict(self):
        return {"steps": 3}


def test_memory_that_is_no_tensor_is_refused(recipe, small_network):
    register("forgetful")(Forgetful)
    model = small_network.SMALL(rule="forgetful", num_classes=10, edges=90)
    with pytest.raises(InputError, match="rule Forgetful: state_dict gave something else than tensors"):
        rule_state(model)


def test_memory_that_nothing_takes_back_is_an_error_of_the_rule():
    with pytest.raises(TypeError, match="rule Forgetful defines state_dict without load_state_dict"):
        Forgetful().load_state_dict({"steps": torch.tensor(3)})
