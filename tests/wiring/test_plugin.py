"""Rules from a user's own file, and the page that teaches them."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import dnw_graph as dg
from dnw_graph.commands.main import main
from dnw_graph.errors import InputError
from dnw_graph.wiring import make_rule, rule_names, strongest
from dnw_graph.wiring.plugin import load_plugin

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "rules.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
CONFIG = ROOT / "configs" / "digits" / "tiny_static_dnw.yaml"


def name_in(block: str) -> str:
    return re.search(r'@register\("(\w+)"\)', block)[1]


@pytest.fixture
def plugin(tmp_path):
    """plugin(text) → path of a file that holds it."""

    def write(text: str, name: str = "my_rules.py") -> Path:
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


def trained_one_step(rule: str):
    """A network with that rule after one optimiser step on random images."""
    model = dg.build_model(dg.load_config(CONFIG, overrides=[f"model.rule={rule}"]))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    F.cross_entropy(model(images), torch.arange(4)).backward()
    optimiser.step()
    model.rewire(step=1)
    return model.body.stages[0]


def example(name: str) -> str:
    return next(block for block in BLOCKS if name_in(block) == name)


@pytest.mark.parametrize("name", ["rigl", "set"])
def test_published_rules_have_25_lines_of_a_users_file(name):
    assert name_in(BLOCKS[0]) == "rigl"
    assert sum(bool(line.strip()) for line in example(name).splitlines()) <= 25


def test_a_score_of_the_page_chooses_the_wiring_of_a_training_step(plugin):
    load_plugin(plugin(example("magnitude_and_gradient")))
    stage = trained_one_step("magnitude_and_gradient")
    score = stage.weight.detach().abs() + 0.1 * stage.weight.grad.abs()
    assert torch.equal(stage.selected, strongest(score, 32_000))
    assert not torch.equal(stage.selected, strongest(stage.weight, 32_000))


def test_the_documented_command_line_is_understood(plugin, capsys):
    """`info` lists the rule of a plugin, and the page's command names existing options."""
    assert main(["info", "--plugin", str(plugin(BLOCKS[0]))]) == 0
    assert "rigl" in capsys.readouterr().out
    (line,) = re.findall(r"```sh\n(dnw-graph train .*)\n```", PAGE)
    _, *options = shlex.split(line)[1:]
    overrides = [value for flag, value in pairwise(options) if flag == "--set"]
    cfg = dg.load_config(ROOT / options[options.index("--config") + 1], overrides=overrides)
    assert (cfg.model.rule, cfg.model.rule_options) == ("rigl", {"every": 20, "until": 300})
    rule = dg.build_model(cfg).body.stages[0].rule
    assert (rule.settings.every, rule.settings.fraction, rule.settings.until) == (20, 0.3, 300)


def published(plugin, tiny_stage, name: str, **options):
    """A stage of 8 candidates, 4 of them in the wiring 0, 2, 4, 6, with that rule of the page."""
    load_plugin(plugin(example(name)))
    stage = tiny_stage(weights=[4.0, 0.5, -3.0, 0.5, 1.0, 0.5, -2.0, 0.5], k=4, rule=make_rule(name, options))
    stage.select(torch.tensor([0, 2, 4, 6]))
    stage.weight.grad = torch.tensor([9.0, 1.0, 9.0, -5.0, 0.0, 2.0, 3.0, 4.0])
    return stage


def test_rigl_grows_edges_of_large_gradient_where_the_weakest_were(plugin, tiny_stage):
    """Half of 4 edges go at step 10 of 20, halfway down the cosine: with fraction 1, (1 + cos 90°) / 2."""
    stage = published(plugin, tiny_stage, "rigl", every=10, fraction=1.0, until=20)
    assert [stage.rule.sees(step) for step in (0, 8, 9, 10, 19, 29)] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    for step in (0, 9, 11, 20, 30):
        assert stage.rewire(step) == 0
        assert stage.selected.tolist() == [0, 2, 4, 6]
    # 4 and -3 stay; -2 and 1 go; of the others the gradients -5 and 4 are the largest.
    assert stage.rewire(10) == 2
    assert stage.selected.tolist() == [0, 2, 3, 7]
    assert stage.weight.tolist() == [4.0, 0.5, -3.0, 0.0, 1.0, 0.5, -2.0, 0.0]


def test_rigl_without_a_gradient_keeps_its_wiring(plugin, tiny_stage):
    """As averaged weights have none."""
    stage = published(plugin, tiny_stage, "rigl", every=10)
    stage.weight.grad = None
    assert stage.rewire(10) == 0


def test_set_replaces_the_weakest_by_random_edges_with_fresh_weights(plugin, tiny_stage):
    stage = published(plugin, tiny_stage, "set", every=10, fraction=0.5)
    before = stage.weight.detach().clone()
    assert stage.rewire(9) == 0
    entered = stage.rewire(10)
    assert {0, 2} < set(stage.selected.tolist())
    assert len(stage.selected) == 4
    fresh = set(stage.selected.tolist()) - {0, 2, 4, 6}
    assert len(fresh) == entered > 0
    assert {each for each in range(8) if stage.weight[each] != before[each]} == fresh


@pytest.mark.parametrize("block", BLOCKS, ids=name_in)
def test_every_example_of_the_page_trains_a_network(plugin, block):
    load_plugin(plugin(block))
    stage = trained_one_step(name_in(block))
    assert 30_000 < stage.selected.numel() <= 32_000


def test_the_per_target_example_keeps_equally_many_edges_of_each(plugin):
    """868 nodes receive: 32,000 // 868 = 36 edges each; the 192 nodes of level 1 have 32 candidates only."""
    load_plugin(plugin(example("per_target")))
    stage = trained_one_step("per_target")
    _, target = stage.stage.ends(stage.selected.numpy())
    counts = torch.bincount(torch.from_numpy(target))
    assert counts[:32].tolist() == [0] * 32
    assert counts[32:224].tolist() == [32] * 192
    assert counts[224:].tolist() == [36] * 676
    assert len(stage.selected) == 30_480


def test_the_hard_pruning_example_keeps_ever_fewer_edges_and_takes_none_back(plugin):
    """Of 32,000 edges, 16 go with every step, and half of them are left after 1000 steps."""
    load_plugin(plugin(example("hard_pruning")))
    stage = trained_one_step("hard_pruning")
    for step, left in ((1, 31_984), (2, 31_968), (1000, 16_000), (2000, 16_000)):
        with torch.no_grad():
            # Momentum would move edges that are out, too.
            stage.weight += 1
        before = set(stage.selected.tolist())
        stage.rewire(step)
        assert len(stage.selected) == left
        assert set(stage.selected.tolist()) <= before
        assert torch.equal(stage.weight.nonzero().squeeze(1), stage.selected)


def test_the_page_names_every_member_of_a_rule_and_of_its_view():
    from dataclasses import fields

    from dnw_graph.wiring import Rule, StageView

    members = [name for name in vars(Rule) if not name.startswith("_")]
    for name in [*members, *(field.name for field in fields(StageView))]:
        assert f"| `{name}" in PAGE, name


def test_a_file_may_be_loaded_twice(plugin):
    file = plugin(BLOCKS[0])
    load_plugin(file)
    load_plugin(file)
    assert "rigl" in rule_names()


def test_a_file_loaded_again_may_leave_its_rules_to_a_module(plugin, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    plugin(BLOCKS[0], "rules_elsewhere.py")
    file = plugin("import rules_elsewhere\n")
    load_plugin(file)
    load_plugin(file)
    assert "rigl" in rule_names()


def test_a_plugin_does_not_replace_a_rule_of_ours(plugin):
    text = 'from dnw_graph.wiring import Rule, register\n@register("top_k")\nclass TopK(Rule):\n    pass\n'
    with pytest.raises(InputError, match="rule name 'top_k' is taken"):
        load_plugin(plugin(text))


@pytest.mark.parametrize(
    ("text", "name", "sentence"),
    [
        ("import nowhere_at_all", "a.py", "running it failed with ModuleNotFoundError: No module named"),
        ("def broken(:", "a.py", "running it failed with SyntaxError"),
        (
            "1 / 0",
            "a.py",
            "running it failed with ZeroDivisionError: division by zero; it must run to its end",
        ),
        ("import sys\nsys.exit(3)", "a.py", "running it ended the program with SystemExit: 3; it must run"),
        ("import torch", "a.py", "registers nothing; put @register(name) of dnw_graph.wiring on the class"),
        ("", "a.txt", "not a Python file; its name must end in .py"),
    ],
)
def test_a_plugin_that_fails_is_one_sentence(plugin, text, name, sentence):
    with pytest.raises(InputError) as caught:
        load_plugin(plugin(text, name))
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("--plugin ")


def test_a_missing_plugin_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"--plugin .*nowhere\.py: no such file"):
        load_plugin(tmp_path / "nowhere.py")


def test_a_rule_that_is_in_no_plugin_points_to_the_option():
    cfg = dg.load_config(CONFIG, overrides=["model.rule=magnitude_and_gradient"])
    with pytest.raises(InputError, match="--plugin FILE adds rules of your own"):
        dg.build_model(cfg)
