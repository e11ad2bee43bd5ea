"""`dnw-graph train --images`: from a folder of images to a run, without a configuration."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from dnw_graph.config import load_config
from dnw_graph.training.session import Session

SMALL = ("--set", "model.edges=90", "data.workers=1", "logging.tensorboard=false", "training.threads=1")


@pytest.fixture
def images(tmp_path, monkeypatch) -> Path:
    """photos/ with 20 images of odd sizes in each of cat and dog; the working directory is theirs."""
    for name, grey in (("cat", 40), ("dog", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(20):
            image = Image.new("RGB", (25 + number, 32), (grey, number, grey))
            image.save(tmp_path / "photos" / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "photos"


def test_a_folder_becomes_a_run_that_goes_on_and_is_evaluated(images, command, records):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        code, out, err = command("train", "--images", "photos", "--epochs", "1", *SMALL)
    assert (code, err) == (0, "")
    assert "photos: 32 images to train on, of 2 classes, half of them at most 32 pixels" in out
    assert "\nmodel:\n  network: tiny_static\n  rule: top_k\n  edges: 90\n" in out
    assert "32 training, 4 validation and 4 test images" in out
    assert "epoch 1 counts (chosen by validation): validation top-1" in out
    run = images.parent / "runs/photos-seed0"
    text = (run / "config.yaml").read_text()
    assert "\ndata:\n  dataset: image_folder\n  directory: photos\n  augment: true\n" in text
    assert load_config(run / "config.yaml").training.epochs == 1

    more = ("train", "--images", "photos", "--epochs", "2", "--resume", "auto", "--run-dir", run, *SMALL)
    code, out, _ = command(*more)
    assert (code, "from step 8 on" in out) == (0, True)
    assert [line["epoch"] for line in records(run, "epoch")] == [1, 2]
    report = json.loads(command("evaluate", run, "--json")[1])
    assert (report["images"], report["part"], report["chosen_by"]) == (4, "test", "validation")


def test_a_run_that_was_stopped_in_an_epoch_goes_on_bit_for_bit(images, command, monkeypatch):
    """Its workers begin anew, at the batch that is next."""
    start = ("train", "--images", "photos", "--epochs", "2", *SMALL, "--run-dir")
    assert command(*start, "whole")[0] == 0
    original = Session.step

    def stopped(self, parts):
        self.stop.requested = self.position.step == 10
        original(self, parts)

    with monkeypatch.context() as patch:
        patch.setattr(Session, "step", stopped)
        assert command(*start, "run")[0] == 130
    assert command(*start, "run", "--resume", "auto")[0] == 0
    for name in ("best", "last"):
        whole, run = (load_file(f"{each}/checkpoints/{name}/model.safetensors") for each in ("whole", "run"))
        assert all(torch.equal(whole[key], run[key]) for key in whole)


def test_the_folders_name_the_classes_and_part_the_images(images, command):
    command("train", "--images", "photos", "--epochs", "1", "--run-dir", "run", *SMALL)
    state = json.loads(Path("run/checkpoints/last/state.json").read_text())
    assert state["class_names"] == ["cat", "dog"]
    assert {part: each["images"] for part, each in state["data"].items()} == {
        "train": 32,
        "validation": 4,
        "test": 4,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--images", "photos", "--config", "digits/tiny_static_dnw"), "--config and --images are two ways"),
        ((), "--config and --images are missing; give one of them, for example --images photos"),
        (("--images", "photos", "--data-dir", "x"), "--data-dir x: --images photos has the images"),
        (("--images", "nowhere"), "nowhere does not exist; give an existing one"),
        (("--images", "photos/cat"), "photos/cat: has no class folders; sort the images into one folder per"),
        (("--images", "photos", "--epochs", "some"), "argument --epochs: invalid int value: 'some'; see"),
        (("--images", "photos", "--epochs", "0"), 'override "training.epochs=0": training.epochs 0 is not'),
        (
            ("--images", "photos", "--lr", "-1"),
            'override "optimizer.lr=-1.0": optimizer.lr -1.0 is not valid',
        ),
        (("--images", "photos", "--set", "data.fit=pad"), "data.fit pad has no meaning for image_folder"),
        (
            ("--images", "photos", "--epochs", "3", "--set", "training.epochs=4"),
            "--epochs 3 and --set training.epochs=4 say different things; give one of them",
        ),
    ],
)
def test_wrong_arguments_are_one_sentence_and_leave_nothing(images, command, arguments, words):
    code, _, err = command("train", *arguments)
    assert code == 2
    assert err.count("\n") == 1
    assert words in err
    assert not (images.parent / "runs").exists()


def test_short_options_are_overrides(config_file, command, tmp_path):
    run = tmp_path / "run"
    config = ("train", "--config", config_file(), "--run-dir", run)
    short = ("--epochs", "1", "--lr", "0.05", "--batch-size", "128", "--seed", "4")
    code, _, err = command(*config, *short, "--set", "optimizer.lr=5e-2")
    assert (code, err) == (0, "")
    cfg = load_config(run / "config.yaml")
    found = (cfg.training.epochs, cfg.optimizer.lr, cfg.training.batch_size, cfg.training.seed)
    assert found == (1, 0.05, 128, 4)
