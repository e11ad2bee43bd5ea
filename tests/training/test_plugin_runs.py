"""Runs with a rule from the user's own file: remembered by name and contents."""

from __future__ import annotations

import json

import pytest

from dnw_graph.wiring import rule as rule_module

RULE = """
from dnw_graph.wiring import Rule, register

@register("first_edges")
class FirstEdges(Rule):
    def select(self, weight, k):
        return weight.argsort()[:k].sort().values
"""


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr(rule_module, "_RULES", dict(rule_module._RULES))


@pytest.fixture
def forget(monkeypatch):
    def forget():
        rule_module._RULES.pop("first_edges")

    return forget


def test_a_run_tells_which_plugin_it_needs(tmp_path, config_file, command, forget):
    plugin, run = tmp_path / "mine.py", tmp_path / "run"
    plugin.write_text(RULE)
    train = [
        "train",
        "--config",
        config_file("model.rule=first_edges", "training.epochs=1"),
        "--run-dir",
        run,
    ]

    code, _, err = command(*train)
    assert code == 2
    assert "first_edges" in err
    assert not run.exists()

    assert command(*train, "--plugin", plugin)[0] == 0
    (saved,) = json.loads((run / "checkpoints/best/state.json").read_text())["plugins"]
    assert saved["file"] == "mine.py"
    assert command("evaluate", run, "--plugin", plugin, "--json")[0] == 0

    forget()
    code, _, err = command("evaluate", run)
    assert code == 2
    assert "was trained with the plugin mine.py" in err
    assert "--plugin" in err

    plugin.write_text(RULE + "\n")
    code, _, err = command(*train, "--plugin", plugin, "--resume", "auto")
    assert code == 2
    assert "give that very file" in err
