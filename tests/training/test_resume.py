"""Killed, interrupted and gone on with: the same bits as never having stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from dnw_graph.errors import InputError
from dnw_graph.training import train

SCRIPT = Path(__file__).with_name("small_network.py")
TIMES = ("seconds", "val_seconds", "test_seconds", "images_per_second")
# Step 27 is in the second epoch, after a record (25) and a checkpoint (20), with sums in between.
EVERYTHING = (
    "training.accumulate=2",
    "training.ema_decay=0.9",
    "training.label_smoothing=0.1",
    "optimizer.unselected_weight_decay=0.01",
    "gradient.every=3",
    "gradient.sample=0.5",
    "schedule.warmup_epochs=0.5",
    "logging.every_steps=5",
    "checkpoint.every_steps=10",
)
STOP = 27


@pytest.fixture(scope="module")
def whole(tmp_path_factory, train_small) -> Path:
    """A run that nothing stopped."""
    return train_small(tmp_path_factory.mktemp("whole") / "run", *EVERYTHING)


def contents(run: Path) -> dict[str, Any]:
    """Everything in a run but times: tensors and wirings as bytes, state and records as values."""
    found: dict[str, Any] = {}
    for path in sorted(run.glob("checkpoints/*/*.safetensors")):
        tensors = load_file(path)
        found[str(path.relative_to(run))] = {name: each.numpy().tobytes() for name, each in tensors.items()}
    for path in sorted(run.glob("wiring/*.npz")):
        with np.load(path) as arrays:
            found[str(path.relative_to(run))] = {name: arrays[name].tobytes() for name in arrays.files}
    for path in sorted(run.glob("checkpoints/*/state.json")):
        state = json.loads(path.read_text())
        del state["metrics_bytes"], state["position"]["seconds"], state["position"]["window_seconds"]
        found[str(path.relative_to(run))] = state
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found["metrics"] = [{key: value for key, value in line.items() if key not in TIMES} for line in lines]
    return found


def test_killed_and_resumed_run_equals_one_that_was_not(tmp_path, config_file, whole, recipe):
    run = tmp_path / "killed"
    arguments = ["train", "--config", str(config_file(*EVERYTHING)), "--run-dir", str(run)]
    killed = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "SIGNAL_AT": f"KILL:{STOP}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert '"step": 25' in (run / "metrics.jsonl").read_text()

    train(recipe(*EVERYTHING), run, resume="auto")
    assert contents(run) == contents(whole)


def test_interrupted_and_resumed_run_equals_one_that_was_not(
    tmp_path, config_file, whole, command, monkeypatch, small_network
):
    run = tmp_path / "interrupted"
    arguments = ["train", "--config", config_file(*EVERYTHING), "--run-dir", run]
    with monkeypatch.context() as patch:
        from dnw_graph.training.session import Session

        patch.setattr(Session, "step", Session.step)  # so that what send_at changes is undone
        small_network.send_at("INT", STOP)
        code, out, _ = command(*arguments)
    assert code == 130
    assert f"stopped after step {STOP + 1}" in out.splitlines()[-1]
    assert f"--run-dir {run} --resume auto" in out.splitlines()[-1]
    assert json.loads((run / "checkpoints/last/state.json").read_text())["position"]["step"] == STOP + 1

    code, out, _ = command(*arguments, "--resume", "auto")
    assert code == 0
    assert f"from step {STOP + 1} on" in out
    assert contents(run) == contents(whole)


def test_ctrl_c_during_evaluation_resumes_with_that_evaluation(tmp_path, recipe, monkeypatch):
    cfg = recipe("training.epochs=1")
    train(cfg, tmp_path / "whole")
    with monkeypatch.context() as patch:
        from dnw_graph.training import session

        evaluate = session.evaluate

        def interrupted(*args, **kwargs):
            signal.raise_signal(signal.SIGTERM)
            return evaluate(*args, **kwargs)

        patch.setattr(session, "evaluate", interrupted)
        assert train(cfg, tmp_path / "run").interrupted
    assert not (tmp_path / "run" / "checkpoints" / "best").exists()

    assert not train(cfg, tmp_path / "run", resume="auto").interrupted
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_an_evaluation_that_fails_costs_no_training(tmp_path, recipe, monkeypatch, whole):
    """The test split breaks off in its second batch, as for an image that cannot be decoded."""
    run, cfg = tmp_path / "run", recipe(*EVERYTHING)
    with monkeypatch.context() as patch:
        from dnw_graph.training import loop

        open_images = loop.open_images

        @contextmanager
        def damaged(*args):
            with open_images(*args) as images:
                epoch = images.test.epoch

                def broken(number):
                    yield next(epoch(number))
                    raise InputError("val/cat/7.JPEG: cannot be decoded; replace or remove this file")

                images.test.epoch = broken
                yield images

        patch.setattr(loop, "open_images", damaged)
        for resume in (None, "auto"):
            with pytest.raises(InputError, match=r"7\.JPEG: cannot be decoded"):
                train(cfg, run, resume=resume)
            position = json.loads((run / "checkpoints/last/state.json").read_text())["position"]
            assert (position["epoch"], position["step"]) == (0, 22)
    assert not (run / "checkpoints/best").exists()

    train(cfg, run, resume="auto")
    assert contents(run) == contents(whole)


def test_auto_in_a_new_directory_starts_and_says_so(tmp_path, recipe, capsys):
    train(recipe("training.epochs=1"), tmp_path / "run", resume="auto")
    assert "from the beginning, for there is no checkpoint yet" in capsys.readouterr().out


def test_a_finished_run_stays_as_it_is(tmp_path, recipe):
    cfg = recipe("training.epochs=1")
    train(cfg, tmp_path / "run")
    before = contents(tmp_path / "run")
    summary = train(cfg, tmp_path / "run", resume="auto")
    assert summary.steps == 22
    assert contents(tmp_path / "run") == before


def test_more_epochs_go_on_from_the_last(tmp_path, recipe, records):
    train(recipe("training.epochs=1"), tmp_path / "run")
    summary = train(recipe("training.epochs=2", "logging.every_steps=7"), tmp_path / "run", resume="auto")
    assert summary.steps == 44
    assert [record["epoch"] for record in records(tmp_path / "run", "epoch")] == [1, 2]


def test_another_configuration_is_refused_by_the_key_that_differs(tmp_path, recipe):
    train(recipe("training.epochs=1"), tmp_path / "run")
    with pytest.raises(InputError, match=r"optimizer\.lr was 0\.1 in this run and is 0\.2 now"):
        train(recipe("training.epochs=1", "optimizer.lr=0.2"), tmp_path / "run", resume="auto")
    with pytest.raises(InputError, match=r"data\.augment was true in this run and is false now"):
        train(recipe("training.epochs=1", "data.augment=false"), tmp_path / "run", resume="auto")
    with pytest.raises(InputError, match=r"training\.ema_decay was null in this run and is 0\.9 now"):
        train(recipe("training.epochs=1", "training.ema_decay=0.9"), tmp_path / "run", resume="auto")


def test_going_on_from_an_earlier_checkpoint_makes_it_the_last(tmp_path, recipe, records, monkeypatch):
    cfg = recipe()
    best, first = tmp_path / "run/checkpoints/best", tmp_path / "first"
    train(recipe("training.epochs=1"), tmp_path / "run")
    shutil.copytree(best, first)
    train(cfg, tmp_path / "run", resume="auto")
    assert json.loads((best / "state.json").read_text())["position"]["best_epoch"] == 2
    shutil.copytree(first, best, dirs_exist_ok=True)

    with monkeypatch.context() as patch:
        from dnw_graph.training.session import Session

        patch.setattr(Session, "step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(cfg, tmp_path / "run", resume=str(best))
    last = json.loads((tmp_path / "run/checkpoints/last/state.json").read_text())
    assert last["position"]["epoch"] == 1
    assert [record["epoch"] for record in records(tmp_path / "run", "epoch")] == [1]


def test_a_run_killed_before_its_first_checkpoint_begins_again_without_stale_records(
    tmp_path, recipe, records
):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.yaml").write_text("")
    (run / "metrics.jsonl").write_text('{"kind": "step", "step": 10}\n')
    train(recipe("training.epochs=1", "logging.every_steps=11"), run, resume="auto")
    assert [record["step"] for record in records(run)] == [11, 22, 22]


@pytest.mark.parametrize("name", ["TERM", "HUP", "USR1"])
def test_a_run_that_a_signal_stopped_goes_on_bit_for_bit(tmp_path, config_file, whole, recipe, name):
    run = tmp_path / "stopped"
    arguments = ["train", "--config", str(config_file(*EVERYTHING)), "--run-dir", str(run)]
    stopped = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        env={**os.environ, "SIGNAL_AT": f"{name}:{STOP}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert stopped.returncode == 130, stopped.stderr
    assert json.loads((run / "checkpoints/last/state.json").read_text())["position"]["step"] == STOP + 1
    train(recipe(*EVERYTHING), run, resume="auto")
    assert contents(run) == contents(whole)


def test_a_second_signal_stops_at_once_and_the_last_checkpoint_is_good(
    tmp_path, config_file, whole, recipe, monkeypatch, small_network, command
):
    """The second one comes while the checkpoint of the first is written."""
    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        from dnw_graph.runs import checkpoint
        from dnw_graph.training.session import Session

        patch.setattr(Session, "step", Session.step)
        patch.setattr("dnw_graph.training.stop._SECONDS_OF_ONE", 0.0)
        small_network.send_at("TERM", STOP)
        original = checkpoint._write

        def again(path, data):
            if (run / "checkpoints/last").exists() and b'"step": 28' in data:
                signal.raise_signal(signal.SIGTERM)
            return original(path, data)

        patch.setattr(checkpoint, "_write", again)
        code, _, err = command("train", "--config", config_file(*EVERYTHING), "--run-dir", run)
    assert (code, err) == (130, "dnw-graph: interrupted\n")
    assert json.loads((run / "checkpoints/last/state.json").read_text())["position"]["step"] == 22
    train(recipe(*EVERYTHING), run, resume="auto")
    assert contents(run) == contents(whole)
