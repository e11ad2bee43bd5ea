"""docs/training.md says what the schema, a run and an evaluation say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from dnw_graph.commands.evaluate import measure
from dnw_graph.config import Config, config_from_dict, load_config
from dnw_graph.config.yaml_text import parse_yaml
from dnw_graph.errors import InputError
from dnw_graph.runs import directory
from dnw_graph.training import train

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
SECTIONS = list(Config.model_fields)
VALID = {
    "model": {"network": "tiny_static", "edges": 9, "image_size": 32, "num_classes": 10},
    "data": {"dataset": "digits"},
    "training": {"epochs": 1, "batch_size": 1},
}


def table(heading: str, first_column: str = "key") -> list[list[str]]:
    """Cells of the first such table below a heading, without its two header lines."""
    below = PAGE.split(f"\n{heading}\n", 1)[1]
    lines = below[below.index(f"| {first_column} |") :].split("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def fields(section: str) -> dict[str, Any]:
    kind: Any = Config.model_fields[section].annotation
    return kind.model_fields


def expected_type(section: str, key: str) -> str:
    """What the error of a wrong type says was expected."""
    values = {name: dict(VALID.get(name, {})) for name in SECTIONS}
    values[section][key] = {}
    with pytest.raises(InputError) as caught:
        config_from_dict(values)
    (words,) = re.findall(rf"{section}\.{key} {{}} is not valid; expected (.*?) \(", str(caught.value))
    return re.sub("^an? ", "", words)


@pytest.mark.parametrize("section", SECTIONS)
def test_every_key_is_on_the_page_in_order(section):
    assert [row[0] for row in table(f"### `{section}`")] == [f"`{key}`" for key in fields(section)]


@pytest.mark.parametrize("section", SECTIONS)
def test_defaults_on_the_page_are_those_of_the_schema(section):
    for name, _, told, _, _ in table(f"### `{section}`"):
        (key,) = quoted(name)
        field = fields(section)[key]
        if field.is_required():
            assert told == "required", key
        elif (default := field.get_default(call_default_factory=True)) is None:
            assert told == "none", key
        else:
            (text,) = quoted(told)
            assert parse_yaml(text, key) == default, key


@pytest.mark.parametrize("section", SECTIONS)
def test_types_on_the_page_are_those_of_the_error_messages(section):
    for name, told, _, _, _ in table(f"### `{section}`"):
        (key,) = quoted(name)
        assert told == expected_type(section, key), key


def test_keys_that_may_change_in_a_resumed_run_are_on_the_page():
    sentence = PAGE.split("Only these keys may change:")[1].split("\n\nWith more")[0]
    assert set(quoted(sentence)) == directory._FREE | directory._FREE_KEYS


def test_published_recipes_are_those_of_the_configurations():
    for files, *cells in table("## Published recipes", "configurations"):
        paths = list(ROOT.glob(quoted(files)[0]))
        assert paths, files
        for cfg in map(load_config, paths):
            schedule = cfg.schedule.name
            if schedule == "multistep":
                milestones = " and ".join(map(str, cfg.schedule.milestones))
                schedule += f", ×{cfg.schedule.gamma:g} after {milestones}"
            numbers = [cfg.training.epochs, cfg.training.batch_size, cfg.optimizer.lr]
            numbers += [cfg.optimizer.momentum, cfg.optimizer.weight_decay]
            assert cells[3] == schedule
            assert [float(cell) for cell in cells[:3] + cells[4:]] == numbers


@pytest.fixture
def run(tmp_path, recipe) -> Path:
    train(recipe("training.epochs=1", "training.ema_decay=0.9"), tmp_path / "run")
    return tmp_path / "run"


def test_a_run_holds_and_records_what_the_page_says(run, records):
    listed = {quoted(row[0])[0].split("/")[0] for row in table("## The run directory", "path")}
    assert {path.name for path in run.iterdir()} == listed - {"tensorboard"}

    rows = {quoted(row[0])[0]: row[1] for row in table("### Records")}
    for kind in ("step", "epoch"):
        assert set(records(run, kind)[0]) == {key for key, kinds in rows.items() if kinds in ("both", kind)}

    paragraph = PAGE.split("A **checkpoint** is")[1].split("\n\n")[0]
    state = json.loads((run / "checkpoints/last/state.json").read_text())
    assert {*state, *state["files"]} <= set(quoted(paragraph))


def test_an_evaluation_reports_what_the_page_says(run):
    listed = [key for row in table("## Evaluation") for key in quoted(row[0])]
    assert set(measure(str(run), "best", [])) == set(listed)
