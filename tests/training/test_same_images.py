"""The images are part of a run: others are refused, or told where scores alone depend on them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dnw_graph.config.datasets import DATASETS
from dnw_graph.data.arrays import ImageArrays
from dnw_graph.errors import InputError
from dnw_graph.training import train

RECIPE = (
    "model.num_classes=3",
    "training.epochs=1",
    "training.batch_size=8",
    "data.dataset=changing",
    "data.validation=0",
)


@pytest.fixture
def change(monkeypatch):
    """change("train", images=…) → the data set `changing` has other images in this split from now on."""
    generator = torch.Generator().manual_seed(0)
    splits = {
        name: ImageArrays(
            images=torch.randint(0, 256, (count, 1, 8, 8), generator=generator, dtype=torch.uint8),
            labels=torch.arange(count) % 3,
            class_names=["ant", "bee", "cow"],
            mean=(0.5,) * 3,
            std=(0.5,) * 3,
            shift=0,
            flip=False,
            source=f"images/{name}",
        )
        for name, count in (("train", 16), ("test", 6))
    }

    def read(directory, train):
        return splits["train" if train else "test"]

    monkeypatch.setitem(
        DATASETS.entries, "changing", replace(DATASETS.get("digits"), read=read, classes=None)
    )

    def change(name, **changes):
        splits[name] = replace(splits[name], **changes)

    change.splits = splits
    return change


def test_the_same_images_go_on(tmp_path, recipe, change):
    train(recipe(*RECIPE), tmp_path / "run")
    assert train(recipe(*RECIPE, "training.epochs=2"), tmp_path / "run", resume="auto").steps == 4


@pytest.mark.parametrize("split", ["train", "test"])
def test_lost_and_other_images_are_refused_when_going_on(tmp_path, recipe, change, split):
    train(recipe(*RECIPE), tmp_path / "run")
    whole = change.splits[split]
    count = len(whole.images)
    change(split, images=whole.images[:-1], labels=whole.labels[:-1])
    with pytest.raises(InputError, match=rf"images/{split}: has {count - 1} images instead of {count}"):
        train(recipe(*RECIPE, "training.epochs=2"), tmp_path / "run", resume="auto")
    change(split, images=whole.images.flip(0), labels=whole.labels.flip(0))
    with pytest.raises(InputError, match="has as many images, but others or in another order"):
        train(recipe(*RECIPE, "training.epochs=2"), tmp_path / "run", resume="auto")


def test_other_classes_are_refused_when_going_on_and_in_evaluation(tmp_path, recipe, change, command):
    train(recipe(*RECIPE), tmp_path / "run")
    for split in ("train", "test"):
        change(split, class_names=["bee", "cow", "dog"])
    with pytest.raises(InputError, match="class 0 is bee here and was ant in the training"):
        train(recipe(*RECIPE), tmp_path / "run", resume="auto")
    code, out, err = command("evaluate", tmp_path / "run")
    assert code == 2
    assert "top-1  " not in out
    assert "class 0 is bee here and was ant in the training" in err


def test_other_test_images_of_the_same_classes_are_told_in_evaluation(tmp_path, recipe, change, command):
    train(recipe(*RECIPE), tmp_path / "run")
    assert command("evaluate", tmp_path / "run")[2] == ""
    change("test", images=change.splits["test"].images.flip(0))
    code, out, err = command("evaluate", tmp_path / "run")
    assert code == 0
    assert "top-1" in out
    assert err.startswith("note: images/test: has as many images, but others or in another order, than those")
