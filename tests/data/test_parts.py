"""Which images train, validate and test: of sets in memory, and of folders in any form."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dnw_graph.config.schema import Data
from dnw_graph.data.folder_parts import FolderParts
from dnw_graph.errors import InputError

PARTS = ("train", "validation", "test")


def fill(folder: Path, count: int) -> None:
    """So many images, each of a grey of its own, in each of two class folders."""
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            grey = np.full((8, 8, 3), number + 100 * (name == "dog"), dtype=np.uint8)
            Image.fromarray(grey).save(folder / name / f"{number:02d}.png")


def parts_of(folder: Path, *, seed: int = 0, has_test: bool = True, **keys) -> dict[str, list[str]]:
    """The files of each part that there is, by their paths in the folder."""
    dataset = "image_folder" if has_test else "imagenet"
    found = FolderParts(Data(dataset=dataset, directory=str(folder), **keys), seed, has_test=has_test)
    images = {part: found.images(part) for part in PARTS}
    return {part: [path[len(str(folder)) :] for path in each.files] for part, each in images.items() if each}


def sizes(parts: dict[str, list[str]]) -> dict[str, int]:
    return {part: len(files) for part, files in parts.items()}


@pytest.mark.parametrize("inside", ["", "train"])
def test_class_folders_alone_give_a_tenth_to_validation_and_a_tenth_to_the_test(tmp_path, inside):
    fill(tmp_path / inside, 20)
    parts = parts_of(tmp_path)
    assert sizes(parts) == {"train": 32, "validation": 4, "test": 4}
    assert len({file for files in parts.values() for file in files}) == 40


def test_the_test_images_are_the_same_for_every_seed_and_share_of_validation(tmp_path):
    fill(tmp_path, 20)
    parts = parts_of(tmp_path)
    others = [
        parts_of(tmp_path, seed=1),
        parts_of(tmp_path, validation=0.4),
        parts_of(tmp_path, validation=0),
    ]
    assert all(other["test"] == parts["test"] for other in others)
    assert others[0]["validation"] != parts["validation"]
    assert "validation" not in others[2]
    assert sorted(others[2]["train"]) == sorted(parts["train"] + parts["validation"])


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_train_and_val_alone_have_no_test_and_nothing_is_cut_from_train(tmp_path, name):
    fill(tmp_path / "train", 20)
    fill(tmp_path / name, 3)
    parts = parts_of(tmp_path)
    assert sizes(parts) == {"train": 40, "validation": 6}
    assert all(file.startswith(f"/{name}/") for file in parts["validation"])


def test_three_folders_are_three_parts(tmp_path):
    for part, count in (("train", 20), ("val", 3), ("test", 2)):
        fill(tmp_path / part, count)
    assert sizes(parts_of(tmp_path)) == {"train": 40, "validation": 6, "test": 4}


def test_without_val_a_tenth_of_train_validates(tmp_path):
    fill(tmp_path / "train", 20)
    fill(tmp_path / "test", 2)
    parts = parts_of(tmp_path)
    assert sizes(parts) == {"train": 36, "validation": 4, "test": 4}
    assert all(file.startswith("/train/") for file in parts["validation"])


def test_imagenets_test_folder_has_no_labels_and_is_passed_over(tmp_path):
    fill(tmp_path / "train", 5)
    fill(tmp_path / "val", 3)
    (tmp_path / "test").mkdir()
    assert sizes(parts_of(tmp_path, has_test=False)) == {"train": 10, "validation": 6}


def test_nothing_is_kept_apart_where_that_is_said(tmp_path):
    fill(tmp_path, 20)
    assert sizes(parts_of(tmp_path, validation=0, test=0)) == {"train": 40}


def test_two_images_of_a_class_are_enough_to_train_on_one(tmp_path):
    fill(tmp_path, 2)
    assert sizes(parts_of(tmp_path, test=0)) == {"train": 2, "validation": 2}


@pytest.mark.parametrize(
    ("folders", "keys", "message"),
    [
        (("train", "val"), {"validation": 0.2}, r"data\.validation 0\.2: .*val is there to choose by; leave"),
        (("train", "test"), {"test": 0.2}, r"data\.test 0\.2: .*test is there for the test; leave it out"),
        (("train", "val", "valid"), {}, r"val: .*valid is there too; keep one of them"),
        (("val",), {}, r"train: missing; put one folder per class there"),
        ((".",), {"validation": 0.5}, r"no class has an image to spare for the validation part"),
    ],
)
def test_folders_that_contradict_are_refused(tmp_path, folders, keys, message):
    for folder in folders:
        fill(tmp_path / folder, 2)
    with pytest.raises(InputError, match=message):
        parts_of(tmp_path, **keys)


def test_other_classes_in_the_test_are_refused(tmp_path):
    for part in ("train", "val", "test"):
        fill(tmp_path / part, 3)
    (tmp_path / "test/dog").rename(tmp_path / "test/emu")
    with pytest.raises(InputError, match=r"train/dog: .*/test has no such class folder; train and test must"):
        parts_of(tmp_path)


def test_validation_images_are_seen_as_in_evaluation(open_split, tmp_path):
    """Those of train/ lose nothing by a random crop, and come in order, each once."""
    fill(tmp_path, 10)
    keys = {"validation": 0.3, "num_classes": 2, "image_size": 8, "workers": 0}
    data = open_split("image_folder", tmp_path, part="validation", **keys)
    twice = [torch.cat([images for images, _ in data.epoch(epoch)]) for epoch in (0, 1)]
    assert torch.equal(*twice)
    assert len(twice[0]) == data.num_samples == 6


def test_a_set_in_memory_loses_a_tenth_of_each_class_to_validation(open_split):
    train, validation, test = (open_split("digits", part=part, validation=None) for part in PARTS)
    assert (train.num_samples, validation.num_samples, test.num_samples) == (1292, 145, 360)
    counted = torch.bincount(torch.cat([labels for _, labels in validation.epoch(0)]))
    assert set(counted.tolist()) <= {14, 15}
    whole = open_split("digits")
    assert whole.num_samples == 1437
    assert len({each.fingerprint for each in (train, validation, test, whole)}) == 4


def test_another_seed_is_another_validation_part_of_as_many(open_split):
    one, other = (open_split("digits", part="validation", validation=0.2, seed=seed) for seed in (0, 1))
    assert one.num_samples == other.num_samples
    assert one.fingerprint != other.fingerprint
    assert one.fingerprint == open_split("digits", part="validation", validation=0.2).fingerprint


def test_hidden_folders_are_no_classes(tmp_path):
    fill(tmp_path, 4)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    assert sum(sizes(parts_of(tmp_path)).values()) == 8


def test_a_vanished_class_folder_is_named(tmp_path):
    fill(tmp_path, 4)
    for file in (tmp_path / "dog").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="dog: a class folder with no image"):
        parts_of(tmp_path)
    shutil.rmtree(tmp_path / "dog")
    assert parts_of(tmp_path)["train"][0].startswith("/cat/")
