"""A configuration for a folder of images: network, size, epochs and the like follow from what is in it.

Two kinds of recipes. Images of up to 48 pixels are taken for signs or thumbnails: the tiny network, which
reads 32×32 pixels, and no mirroring, since a mirrored 2 is no digit. Larger ones are taken for photographs:
MobileNetV1-like ×0.225 at 64, 128 or 224 pixels, mirrored. The fewer the images, the more epochs, the smaller
the batches, and the more of an image a random crop shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from PIL import Image

from dnw_graph.config import Config, config_from_dict
from dnw_graph.config.files import override_list
from dnw_graph.config.schema import Data
from dnw_graph.data.decode import FORMATS
from dnw_graph.data.folder_parts import FolderParts
from dnw_graph.errors import InputError

MOST_LOOKED_AT = 1000
"""Images whose size is read; of more, so many at equal distances."""

SMALL = 48
MANY = 20_000
FEW = 2_000


@dataclass(frozen=True)
class Found:
    """What is in a folder.

    training  images to train on, of all parts that are kept apart for something else none
    side      shorter side of an image, in pixels; half of them have a smaller one
    """

    training: int
    classes: int
    side: int

    @property
    def is_small(self) -> bool:
        return self.side <= SMALL


def config_for_images(directory: str | Path, overrides: Iterable[str] = ()) -> tuple[Config, Found]:
    """(a configuration to train on a folder of class folders, what was found there).

    directory  class folders, or train/ and perhaps val/ and test/ with class folders in each
    overrides  "section.key=value", changes to what was inferred
    Raises InputError for a folder that no network can be trained on.
    """
    overrides, where = override_list(overrides), f"--images {directory}"

    images = {"dataset": "image_folder", "directory": str(directory)}
    # How much is kept apart is known before the number of images is.
    of_data = [each for each in overrides if each.strip().startswith("data.")]
    data = config_from_dict(recipe(Found(1, 2, 1)) | {"data": images}, of_data, where=where).data
    found = look_at(data)
    values = recipe(found)
    values["data"] = images | (values["data"] if data.augment else {})
    return config_from_dict(values, overrides, where=where), found


def look_at(data: Data) -> Found:
    """Raises InputError for images that cannot be read, and for less than two classes."""
    parts = FolderParts(data, seed=0, has_test=True)
    pool = parts.pool()
    if len(pool.class_names) < 2:
        raise InputError(
            f"{pool.source}: has one class folder, {pool.class_names[0]}; a network learns to tell classes "
            "apart, so sort the images into two or more"
        )
    images = parts.images("train")
    assert images is not None
    step = -(-len(images.files) // MOST_LOOKED_AT)
    sides = [shorter_side(path) for path in images.files[::step]]
    return Found(len(images.files), len(images.class_names), round(median(sides)))


def shorter_side(path: str) -> int:
    """Of an image file, in pixels; nothing is decoded."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return min(image.size)
    # On damaged bytes decoders raise OSError, SyntaxError, ValueError, …: all mean this file.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: cannot be read as an image ({reason}); replace or remove it") from None


def recipe(found: Found) -> dict[str, Any]:
    """The sections of a configuration, but for where the images are."""
    tiny = found.is_small and found.training < MANY
    most, rate = (64, 0.1 / 64) if tiny else (128 if found.training >= MANY else 32, 0.1 / 128)
    batch = most
    while batch > 1 and batch * 8 > found.training:
        batch //= 2
    # So many images are seen, which is minutes on a CPU: tens of thousands of small ones, or thousands.
    seen, fewest, largest = (60_000, 20, 100) if tiny else (20_000, 15, 60)
    epochs = max(fewest, min(largest, -(-seen // found.training)))
    return {
        "model": {
            **(
                {"network": "tiny_static", "edges": 32000}
                if tiny
                else {"network": "mobilenet_v1", "width": 0.225}
            ),
            "rule": "top_k",
            "image_size": image_size(found),
            "num_classes": found.classes,
        },
        "data": {"crop": crop(found), "flip": not found.is_small},
        "optimizer": {"lr": float(f"{rate * batch:.3g}"), "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"name": "cosine"},
        "training": {"epochs": epochs, "batch_size": batch},
    }


def image_size(found: Found) -> int:
    """The side that the network sees, not much more than the images have."""
    if found.is_small:
        return 32
    if found.side <= 96:
        return 64
    return 224 if found.side >= 192 and found.training >= MANY else 128


def crop(found: Found) -> float:
    """The smallest share of an image that a random crop shows: little may be cut from small or few ones."""
    if found.is_small:
        return 0.7
    return 0.3 if found.training < FEW else 0.08
