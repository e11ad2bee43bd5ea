"""docs/from_2019.md names commands, options, files and keys that exist."""

from __future__ import annotations

import argparse
import re
import shlex
from importlib import import_module
from pathlib import Path

import pytest

from dnw_graph.accounting.published import prune_rate
from dnw_graph.config import Config, load_config
from dnw_graph.config.schedules import SCHEDULES
from dnw_graph.interchange.official import RULES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "from_2019.md").read_text(encoding="utf-8")
OURS = re.sub(r"^# 2019:.*\n", "", PAGE, flags=re.MULTILINE)
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", OURS, re.DOTALL)
    for line in block.splitlines()
    if line.strip()
]


def arguments(line: str) -> tuple[str, list[str]]:
    """Subcommand and its arguments, of `dnw-graph NAME …` or `torchrun … tools/NAME.py …`."""
    words = shlex.split(line)
    if words[0] == "dnw-graph":
        return words[1], words[2:]
    (tool,) = (word for word in words if word.startswith("tools/"))
    assert (ROOT / tool).is_file()
    return Path(tool).stem, words[words.index(tool) + 1 :]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line):
    name, given = arguments(line)
    command = import_module(f"dnw_graph.commands.{name.replace('-', '_')}")
    parser = argparse.ArgumentParser(exit_on_error=False, allow_abbrev=False)
    command.add_arguments(parser)
    _, unknown = parser.parse_known_args(given)
    assert unknown == []


def test_every_command_of_the_2019_readme_is_here():
    assert {arguments(line)[0] for line in COMMANDS} == {"train", "convert-official", "evaluate", "count"}
    for flag in ("--resume", "--evaluate", "--fast_eval", "--use_dgl"):
        assert re.search(rf"^# 2019:.* {flag}\b", PAGE, re.MULTILINE), flag


@pytest.mark.parametrize("name", sorted(set(re.findall(r"configs/\w+/[\w.]+\.yaml", PAGE))))
def test_configurations_exist(name):
    load_config(ROOT / name)


def test_keys_exist():
    keys = re.findall(r"\b(model|data|optimizer|schedule|training|checkpoint|logging)\.(?!md\b)(\w+)", OURS)
    ours = {section: set(field.annotation.model_fields) for section, field in Config.model_fields.items()}
    # Settings of a schedule depend on its name.
    ours["schedule"] |= {key for each in SCHEDULES.entries.values() for key in each.model_fields}
    # The 2019 program's own words for its data sets are no keys.
    unknown = {(section, key) for section, key in keys if key not in ours[section]}
    assert unknown == {("data", "imagenet"), ("data", "cifar10")}


def test_prune_rates_are_those_of_the_configurations():
    imagenet = ROOT / "configs" / "imagenet"
    assert prune_rate(load_config(imagenet / "dnw_x0.225.yaml").model.width) == 0.775
    assert prune_rate(load_config(imagenet / "random_x0.49.yaml").model.width) == 0.49
    tiny = load_config(ROOT / "configs" / "cifar10" / "tiny_static_dnw.yaml")
    assert tiny.model.edges == 32000 == round((1 - 0.95) * 800**2)


def test_a_complete_wiring_is_a_density_of_one():
    overrides = ["model.width=null", "model.density=1.0"]
    cfg = load_config(ROOT / "configs" / "cifar10" / "dnw_x0.225.yaml", overrides)
    assert (cfg.model.width, cfg.model.density) == (None, 1.0)


def test_words_for_rules():
    rows = re.findall(r"^\| `graph: (\w+)` \| `model.rule: (\w+)`", PAGE, re.MULTILINE)
    assert dict(rows) == RULES
