"""The configuration that follows from a folder of images."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from dnw_graph.config import config_from_dict, to_yaml
from dnw_graph.config.yaml_text import parse_yaml
from dnw_graph.data.recipe import Found, config_for_images, recipe
from dnw_graph.errors import InputError


@pytest.fixture
def folder(tmp_path: Path):
    """folder(count, width, height) → a folder of so many images in each of three classes."""

    def make(count: int, width: int, height: int) -> Path:
        for name in ("ant", "bee", "cow"):
            (tmp_path / name).mkdir()
            for number in range(count):
                Image.new("RGB", (width, height), (number, 0, 0)).save(tmp_path / name / f"{number}.png")
        return tmp_path

    return make


def test_small_images_get_the_tiny_network_and_are_not_mirrored(folder):
    cfg, found = config_for_images(folder(20, 28, 40))
    assert found == Found(training=48, classes=3, side=28)
    assert (cfg.model.network, cfg.model.image_size, cfg.model.num_classes) == ("tiny_static", 32, 3)
    assert (cfg.data.flip, cfg.data.crop) == (False, 0.7)
    assert cfg.training.epochs == 100
    assert cfg.training.batch_size == 4


def test_photographs_get_a_larger_network_at_a_larger_size(folder):
    cfg, found = config_for_images(folder(3, 300, 200))
    assert found.side == 200
    assert (cfg.model.network, cfg.model.image_size, cfg.data.flip) == ("mobilenet_v1", 128, True)


@pytest.mark.parametrize(
    ("found", "network", "size", "epochs", "batch"),
    [
        (Found(240, 10, 32), "tiny_static", 32, 100, 16),
        (Found(1437, 10, 8), "tiny_static", 32, 42, 64),
        (Found(60_000, 10, 28), "mobilenet_v1", 32, 15, 128),
        (Found(300, 5, 90), "mobilenet_v1", 64, 60, 32),
        (Found(1000, 5, 600), "mobilenet_v1", 128, 20, 32),
        (Found(1_281_167, 1000, 375), "mobilenet_v1", 224, 15, 128),
        (Found(2, 2, 600), "mobilenet_v1", 128, 60, 1),
    ],
)
def test_the_recipe_follows_from_number_and_size(found, network, size, epochs, batch):
    values = recipe(found)
    values["data"]["dataset"] = "image_folder"
    cfg = config_from_dict(values)
    assert (cfg.model.network, cfg.model.image_size) == (network, size)
    assert (cfg.training.epochs, cfg.training.batch_size) == (epochs, batch)
    assert cfg.training.batch_size <= found.training


def test_overrides_win_and_what_is_shown_makes_the_same_configuration(folder):
    cfg, _ = config_for_images(folder(5, 32, 32), ["training.epochs=3", "model.rule=random"])
    assert (cfg.training.epochs, cfg.model.rule) == (3, "random")
    shown = to_yaml(cfg, given=True)
    assert config_from_dict(parse_yaml(shown, "shown")) == cfg
    assert "momentum: 0.9\n" in shown
    assert "{" not in shown


def test_what_is_kept_apart_counts_and_without_augmentation_nothing_is_said_of_it(folder):
    cfg, found = config_for_images(
        folder(10, 32, 32), ["data.validation=0", "data.test=0.5", "data.augment=false"]
    )
    assert found.training == 15
    assert cfg.data.model_fields_set == {"dataset", "directory", "validation", "test", "augment"}


def test_a_size_that_the_network_cannot_take_names_those_that_it_can(folder):
    from dnw_graph.models.registry import build_model

    cfg, _ = config_for_images(folder(5, 32, 32), ["model.image_size=40"])
    with pytest.raises(InputError, match=r"model.image_size 40: tiny_static reads 8×8 maps; use 32"):
        build_model(cfg)


def test_one_class_is_refused(folder):
    path = folder(2, 32, 32)
    for name in ("ant", "bee"):
        for file in (path / name).iterdir():
            file.unlink()
        (path / name).rmdir()
    with pytest.raises(InputError, match="has one class folder, cow; a network learns to tell classes apart"):
        config_for_images(path)


def test_a_damaged_image_and_a_missing_folder_are_named(folder, tmp_path):
    path = folder(20, 32, 32)
    damaged = sorted((path / "bee").iterdir())
    for file in damaged:
        file.write_bytes(b"hello")
    with pytest.raises(InputError, match=r"bee/.*png: cannot be read as an image .*; replace or remove it"):
        config_for_images(path)
    with pytest.raises(InputError, match="nowhere does not exist"):
        config_for_images(tmp_path / "nowhere")
