"""Damage to a run directory is named, and what is left is gone on with."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from dnw_graph.errors import InputError
from dnw_graph.runs.lock import RunLock
from dnw_graph.training import train

RECIPE = ("training.epochs=1", "checkpoint.every_steps=5", "logging.every_steps=5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory, train_small) -> Path:
    return train_small(tmp_path_factory.mktemp("whole") / "run", *RECIPE)


@pytest.fixture
def run(whole, tmp_path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def weights(run: Path) -> bytes:
    return (run / "checkpoints/last/model.safetensors").read_bytes()


def lines(run: Path) -> list[tuple[str, int, float]]:
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(each["kind"], each["step"], each["train_loss"]) for each in records]


@pytest.mark.parametrize(
    "name", ["state.json", "state.json.sha256", "model.safetensors", "optimizer.safetensors"]
)
def test_auto_names_a_damaged_checkpoint_and_goes_on_from_the_one_before(run, whole, recipe, capsys, name):
    path = run / "checkpoints/last" / name
    path.write_bytes(path.read_bytes()[:-1])
    train(recipe(*RECIPE), run, resume="auto")
    out = capsys.readouterr().out
    assert f"note: {run}/checkpoints/last/" in out
    assert f"Going on from {run}/checkpoints/last.1." in out
    assert weights(run) == weights(whole)
    assert lines(run) == lines(whole)
    assert (run / "checkpoints/last.damaged" / name).exists()


def test_where_all_are_damaged_the_newest_is_named_and_nothing_is_changed(run, recipe):
    for path in run.glob("checkpoints/*/state.json"):
        path.write_text("{}")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(InputError, match=r"checkpoints/last/state.json: is not a dnw-graph checkpoint"):
        train(recipe(*RECIPE), run, resume="auto")
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_named_checkpoint_that_is_damaged_is_refused(run, recipe):
    (run / "checkpoints/best/model.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match=r"best/model.safetensors: has 0 bytes instead of"):
        train(recipe(*RECIPE), run, resume=str(run / "checkpoints/best"))


@pytest.mark.parametrize("left", [0, 100, 300])
def test_records_that_were_lost_are_told_and_no_half_line_stays(run, recipe, capsys, left):
    os.truncate(run / "metrics.jsonl", left)
    train(recipe("training.epochs=2", *RECIPE[1:]), run, resume="auto")
    assert "metrics.jsonl: records are missing: the checkpoint knows" in capsys.readouterr().out
    assert [step for _, step, _ in lines(run) if step > 22] == [25, 30, 35, 40, 44]


def test_a_file_of_records_that_is_gone_is_told(run, recipe, capsys):
    (run / "metrics.jsonl").unlink()
    train(recipe(*RECIPE), run, resume="auto")
    assert "records are missing" in capsys.readouterr().out


def test_what_crashes_left_beside_the_checkpoints_goes(run, recipe):
    for name in ("last.previous", ".last.new", "best.previous", ".best.new"):
        (run / "checkpoints" / name).mkdir()
    train(recipe(*RECIPE), run, resume="auto")
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best", "last", "last.1"]


def test_a_checkpoint_between_two_renames_is_put_back_in_its_place(run, whole, recipe):
    (run / "checkpoints/last").rename(run / "checkpoints/last.previous")
    shutil.rmtree(run / "checkpoints/last.1")
    train(recipe(*RECIPE), run, resume="auto")
    assert weights(run) == weights(whole)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["best", "last"]


def test_a_second_training_is_refused_and_the_first_ones_files_stay(run, recipe, config_file, command):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with RunLock(run):
        code, _, err = command(
            "train", "--config", config_file(*RECIPE), "--run-dir", run, "--resume", "auto"
        )
        assert code == 2
        assert "is training in this run directory" in err
        assert err.count("\n") == 1
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_start_that_is_refused_leaves_no_directory(tmp_path, recipe):
    with pytest.raises(InputError, match="no such directory"):
        train(recipe(), tmp_path / "run", data_dir=tmp_path / "typo")
    assert not (tmp_path / "run").exists()
