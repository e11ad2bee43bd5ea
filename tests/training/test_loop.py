"""Training from the first step to the last, on real digits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dnw_graph import dependencies
from dnw_graph.config import load_config
from dnw_graph.errors import InputError
from dnw_graph.runs import load_run
from dnw_graph.training import train
from dnw_graph.training.session import Session


@pytest.fixture(scope="module")
def run(tmp_path_factory, train_small) -> Path:
    """A run of three epochs with everything that is recorded."""
    path = tmp_path_factory.mktemp("whole") / "run"
    return train_small(path, "training.epochs=3", "logging.tensorboard=true")


def test_the_network_learns(run, records):
    losses = [record["train_loss"] for record in records(run, "epoch")]
    assert losses == sorted(losses, reverse=True)
    assert records(run, "epoch")[-1]["test_top1"] > 0.4


def test_everything_lies_in_the_run_directory(run):
    assert {each.name for each in run.iterdir()} == {
        "config.yaml",
        "metrics.jsonl",
        "tensorboard",
        "checkpoints",
        "wiring",
    }
    assert {each.name for each in (run / "checkpoints").iterdir()} == {"last", "last.1", "best"}
    assert sorted(each.name for each in (run / "wiring").iterdir()) == [f"epoch_000{n}.npz" for n in range(4)]
    assert load_config(run / "config.yaml").training.epochs == 3


def test_records_come_every_ten_steps_and_after_epochs(run, records):
    steps = [(record["kind"], record["epoch"], record["step"]) for record in records(run)]
    assert steps == [
        ("step", 1, 10),
        ("step", 1, 20),
        ("epoch", 1, 22),
        ("step", 2, 30),
        ("step", 2, 40),
        ("epoch", 2, 44),
        ("step", 3, 50),
        ("step", 3, 60),
        ("epoch", 3, 66),
    ]
    step, epoch = records(run)[1:3]
    common = {
        "kind",
        "version",
        "epoch",
        "step",
        "lr",
        "train_loss",
        "train_top1",
        "swaps",
        "images_per_second",
    }
    assert step.keys() == common
    scores = {f"{part}_{key}" for part in ("val", "test") for key in ("loss", "top1", "top5", "seconds")}
    assert epoch.keys() == common | scores | {"seconds"}
    assert step["lr"] == pytest.approx(0.05 * (1 + np.cos(np.pi * 19 / 66)))


def test_swaps_are_those_of_the_wirings_that_were_kept(run, records):
    """Edges that are new at an epoch's end have entered in it; the others entered and left."""
    wirings = []
    for epoch in range(4):
        with np.load(run / f"wiring/epoch_{epoch:04d}.npz") as arrays:
            assert int(arrays["format_version"]) == 1
            wirings.append(set(arrays["stage_0"].tolist()))
    assert all(len(wiring) == 90 for wiring in wirings)
    for before, after, record in zip(wirings, wirings[1:], records(run, "epoch"), strict=False):
        assert record["swaps"] >= len(after - before)
    assert len(wirings[1] - wirings[0]) > 0


def test_best_is_the_epoch_of_the_highest_validation_accuracy(run, records):
    scores = [record["val_top1"] for record in records(run, "epoch")]
    state = json.loads((run / "checkpoints/best/state.json").read_text())
    assert state["best_by"] == "validation"
    assert state["position"]["epoch"] == state["position"]["best_epoch"] == 1 + scores.index(max(scores))
    assert state["position"]["best_top1"] == max(scores)


def test_a_loaded_run_has_its_weights_and_its_wiring(run):
    found = load_run(run, checkpoint="last")
    model = found.model
    assert found.config == load_config(run / "config.yaml")
    saved = load_file(run / "checkpoints/last/model.safetensors")
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())
    with np.load(run / "wiring/epoch_0003.npz") as arrays:
        assert model.wirings()["stage_0"].tolist() == arrays["stage_0"].tolist()


def test_tensorboard_shows_the_records(run, records):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    shown = [(each.step, each.value) for each in events.Scalars("accuracy/epoch_test_top1")]
    assert shown == [(each["step"], pytest.approx(each["test_top1"])) for each in records(run, "epoch")]
    assert "loss/step_train_loss" in events.Tags()["scalars"]


def test_a_dense_baseline_trains_without_wiring(tmp_path, recipe, records):
    cfg = recipe(
        "model.network=mobilenet_v1_dense",
        "model.edges=null",
        "model.multiplier=0.25",
        "training.epochs=1",
        "training.batch_size=256",
    )
    train(cfg, tmp_path / "run")
    assert not (tmp_path / "run/wiring").exists()
    assert all("swaps" not in record for record in records(tmp_path / "run"))
    assert not hasattr(load_run(tmp_path / "run").model, "rewire")


def test_a_fixed_wiring_never_swaps(tmp_path, recipe, records):
    train(recipe("model.rule=random", "training.epochs=1"), tmp_path / "run")
    assert [record["swaps"] for record in records(tmp_path / "run")] == [0, 0, 0]


def test_bf16_trains_on_a_cpu(tmp_path, recipe, records):
    train(recipe("training.precision=bf16", "training.epochs=1"), tmp_path / "run")
    losses = [record["train_loss"] for record in records(tmp_path / "run", "step")]
    assert losses[1] < losses[0] < 3


def test_numbers_out_of_range_stop_the_run_and_leave_the_last_checkpoint(
    tmp_path, recipe, records, monkeypatch
):
    """Step 30 blows the weights up; the checkpoint of the first epoch stays, and no record holds a NaN."""
    original = Session.lr
    monkeypatch.setattr(Session, "lr", lambda self, step: 1e30 if step >= 30 else original(self, step))
    with pytest.raises(
        InputError,
        match=r"training stopped at step 3\d: .*optimizer\.lr \(now 0\.1\).*; the last checkpoint is good\.$",
    ):
        train(recipe("checkpoint.every_steps=35"), tmp_path / "run")
    state = json.loads((tmp_path / "run/checkpoints/last/state.json").read_text())
    assert state["position"]["step"] == 22
    assert [record["step"] for record in records(tmp_path / "run")] == [10, 20, 22, 30]
    assert not list((tmp_path / "run/checkpoints").glob(".*"))


def test_numbers_out_of_range_before_the_first_checkpoint_do_not_speak_of_one(tmp_path, recipe):
    with pytest.raises(InputError, match=r"training stopped at step .*; no checkpoint was written yet\.$"):
        train(recipe("optimizer.lr=1e30"), tmp_path / "run")
    assert [path.name for path in (tmp_path / "run/checkpoints").iterdir()] == ["diverged"]


def test_a_run_without_tensorboard_says_so_and_goes_on(tmp_path, train_small, monkeypatch, capsys):
    monkeypatch.setitem(dependencies.EXTRAS, "tensorboard", ("no_such_tensorboard",))
    path = train_small(tmp_path / "run", "training.epochs=1", "logging.tensorboard=true")
    assert "no TensorBoard events: no_such_tensorboard is not installed; run" in capsys.readouterr().out
    assert not (path / "tensorboard").exists()
    assert (path / "metrics.jsonl").stat().st_size > 0
