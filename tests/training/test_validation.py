"""What chooses the best checkpoint: validation images, or nothing, and never the test."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dnw_graph.config import load_config
from dnw_graph.config.datasets import DATASETS
from dnw_graph.data.arrays import ImageArrays
from dnw_graph.errors import InputError
from dnw_graph.runs.directory import locate_checkpoint
from dnw_graph.training import train


def state_of(checkpoint: Path) -> dict:
    return json.loads((checkpoint / "state.json").read_text())


def json_in(out: str) -> dict:
    """The object at the end of what was printed."""
    return json.loads(out[out.index("{\n") :])


def write_state(checkpoint: Path, state: dict) -> None:
    text = json.dumps(state).encode()
    (checkpoint / "state.json").write_bytes(text)
    digest = hashlib.sha256(text).hexdigest()
    (checkpoint / "state.json.sha256").write_text(f"{digest}  state.json\n")


@pytest.fixture
def noise(monkeypatch):
    """The data set `noise`; noise(seed) → its test images are others from now on."""
    found = {"seed": 0}

    def read(directory, train):
        generator = torch.Generator().manual_seed(1 if train else 2 + found["seed"])
        count = 80 if train else 20
        return ImageArrays(
            images=torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8),
            labels=torch.arange(count) % 2,
            class_names=["ant", "bee"],
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
            shift=0,
            flip=False,
            source="noise",
        )

    monkeypatch.setitem(DATASETS.entries, "noise", replace(DATASETS.get("digits"), read=read, classes=None))
    return lambda seed: found.update(seed=seed)


NOISE = ("data.dataset=noise", "data.validation=0.4", "model.num_classes=2", "training.batch_size=8")


def test_the_test_images_decide_nothing(tmp_path, recipe, records, noise):
    """With other test images, the same checkpoint is chosen, bit for bit."""
    for seed in (0, 1):
        noise(seed)
        train(recipe(*NOISE, "training.epochs=4"), tmp_path / f"{seed}")
    tests = [[line["test_loss"] for line in records(tmp_path / f"{seed}", "epoch")] for seed in (0, 1)]
    assert tests[0] != tests[1]
    one, other = (tmp_path / f"{seed}/checkpoints/best" for seed in (0, 1))
    assert state_of(one)["position"]["epoch"] == state_of(other)["position"]["epoch"]
    weights = load_file(one / "model.safetensors")
    assert all(torch.equal(weights[k], v) for k, v in load_file(other / "model.safetensors").items())


def test_without_validation_the_last_checkpoint_counts(tmp_path, recipe, records, command):
    run = tmp_path / "run"
    summary = train(recipe("data.validation=0", "training.epochs=2"), run)
    assert summary.best_epoch == 0
    assert np.isnan(summary.best_top1)
    assert not (run / "checkpoints/best").exists()
    assert state_of(run / "checkpoints/last")["best_by"] is None
    assert not [key for line in records(run, "epoch") for key in line if key.startswith("val_")]
    assert locate_checkpoint(run) == run / "checkpoints/last"
    report = json_in(command("evaluate", run, "--json")[1])
    assert (report["epoch"], report["part"], report["chosen_by"]) == (2, "test", None)
    assert report["top1"] == records(run, "epoch")[-1]["test_top1"]
    code, _, err = command("evaluate", run, "--part", "validation")
    assert (code, "digits has no validation images in this run; keep some apart" in err) == (2, True)
    code, _, err = command("evaluate", run, "--checkpoint", "best")
    assert (code, "has no best checkpoint; use its last one" in err) == (2, True)


def test_a_validation_score_is_that_of_its_images(tmp_path, recipe, records, command):
    run = tmp_path / "run"
    train(recipe("training.epochs=1", "data.validation=0.2"), run)
    report = json_in(command("evaluate", run, "--part", "validation", "--json")[1])
    (record,) = records(run, "epoch")
    assert (report["part"], report["images"], report["chosen_by"]) == ("validation", 287, "validation")
    assert report["top1"] == record["val_top1"] == state_of(run / "checkpoints/best")["position"]["best_top1"]
    assert report["loss"] == pytest.approx(record["val_loss"], rel=1e-5)


def test_the_published_recipes_train_on_every_image():
    """Those for CIFAR-10, which CIFAR-100 shares; ImageNet's have validation images of their own."""
    configs = Path(__file__).parents[2] / "configs"
    assert {load_config(path).data.validation for path in configs.glob("cifar10*/*.yaml")} == {0}
    assert {load_config(path).data.validation for path in configs.glob("imagenet/*.yaml")} == {None}


def test_another_share_is_another_run(tmp_path, recipe):
    run = tmp_path / "run"
    train(recipe("training.epochs=1"), run)
    kept = state_of(run / "checkpoints/last")["data"]
    assert {part: each["images"] for part, each in kept.items()} == {
        "train": 1417,
        "validation": 20,
        "test": 360,
    }
    with pytest.raises(InputError, match=r"set it back \(--set data\.validation=0\.015\)"):
        train(recipe("training.epochs=1", "data.validation=0"), run, resume="auto")


@pytest.fixture
def folder(tmp_path) -> Path:
    """train/ with 12 and val/ with 4 images in each of cat and dog."""
    for part, count in (("train", 12), ("val", 4)):
        for name in ("cat", "dog"):
            place = tmp_path / "images" / part / name
            place.mkdir(parents=True)
            for number in range(count):
                grey = 20 * number + 10 * (name == "dog")
                Image.new("L", (32, 32), grey).save(place / f"{number}.png")
    return tmp_path / "images"


FOLDER = ("data.dataset=image_folder", "model.num_classes=2", "training.batch_size=8", "data.workers=0")


def test_val_alone_chooses_and_is_never_called_a_test(tmp_path, recipe, records, command, folder, capsys):
    run = tmp_path / "run"
    train(recipe(*FOLDER, "data.validation=null"), run, data_dir=folder)
    assert "24 training and 8 validation images" in capsys.readouterr().out
    assert not [key for line in records(run, "epoch") for key in line if "test" in key]
    assert state_of(run / "checkpoints/best")["best_by"] == "validation"
    code, out, err = command("evaluate", run)
    assert (code, err) == (0, "")
    assert "validation images  8 of image_folder" in out
    assert "\ntest images" not in out


@pytest.fixture
def old_run(tmp_path, recipe):
    """old_run(*overrides) → a run as versions left it that chose by the test's score."""

    def make(*overrides: str, **options) -> Path:
        run = tmp_path / "old"
        train(recipe("data.validation=0", "training.epochs=1", *overrides), run, **options)
        state = state_of(run / "checkpoints/last")
        del state["best_by"], state["config"]["data"]["validation"]
        if "test" not in state["data"]:
            state["data"]["test"] = state["data"].pop("validation")
        state["position"] |= {"best_top1": 0.9, "best_epoch": 1}
        write_state(run / "checkpoints/last", state)
        shutil.copytree(run / "checkpoints/last", run / "checkpoints/best")
        return run

    return make


def test_an_old_run_is_evaluated_as_before_and_says_what_chose_it(old_run, command):
    run = old_run()
    code, out, err = command("evaluate", run)
    assert code == 0
    assert "checkpoints/best (epoch 1, step 22), chosen by test images" in out
    assert re.search(r"\ntest images +360 of digits", out)
    assert err.count("\n") == 1
    assert "chose this checkpoint by its score on these images, which is therefore too good" in err
    assert command("evaluate", run, "--checkpoint", "last")[2] == ""


def test_an_old_run_goes_on_as_it_was_trained_and_its_best_is_set_aside(tmp_path, old_run, recipe, capsys):
    train(recipe("data.validation=0", "training.epochs=2"), tmp_path / "whole")
    with pytest.MonkeyPatch.context() as patch:
        # The schedule of two epochs, stopped after one.
        run = _half(old_run, recipe, patch)
    with pytest.raises(InputError, match=r"data\.validation was 0\.0 .* is 0\.015 now; set it back \(--set"):
        train(recipe("training.epochs=2"), run, resume="auto")
    assert (run / "checkpoints/best").exists()
    capsys.readouterr()
    summary = train(recipe("data.validation=0", "training.epochs=2"), run, resume="auto")
    assert "best_on_test now, and commands use the last checkpoint" in capsys.readouterr().out
    assert (summary.best_epoch, summary.epochs) == (0, 2)
    assert {each.name for each in (run / "checkpoints").iterdir()} == {"best_on_test", "last", "last.1"}
    assert locate_checkpoint(run).name == "last"
    whole, resumed = (
        load_file(place / "checkpoints/last/model.safetensors") for place in (tmp_path / "whole", run)
    )
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def _half(old_run, recipe, patch) -> Path:
    from dnw_graph.training.session import Session

    original = Session.lr

    def lr(self, step):
        two = replace(self, cfg=recipe("data.validation=0", "training.epochs=2"))
        return original(two, step)

    patch.setattr(Session, "lr", lr)
    return old_run()


def test_an_old_run_on_train_and_val_keeps_its_images(old_run, recipe, folder, command):
    """What that version called test images are those of val/."""
    run = old_run(*FOLDER, data_dir=folder)
    code, out, _ = command("evaluate", run)
    assert (code, "validation images  8 of image_folder" in out) == (0, True)
    (folder / "val/cat/0.png").unlink()
    assert "has 7 images instead of 8" in command("evaluate", run)[2]
    cfg = recipe("data.validation=0", "training.epochs=2", *FOLDER)
    with pytest.raises(InputError, match=r"val: has 7 images instead of 8"):
        train(cfg, run, data_dir=folder, resume="auto")
