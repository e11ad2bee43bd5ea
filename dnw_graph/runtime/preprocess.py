"""From an image file to the network's input, with NumPy and Pillow: what evaluation did in training.

The description is that of `dnw_graph.data.preprocessing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dnw_graph.errors import InputError
from dnw_graph.runtime.plain import count, mapping, number, record, sequence

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS = 1 << 14
# From this ratio of its sides on, an image's middle is all that is looked at.
_THIN = 32


@dataclass(frozen=True)
class Preprocessing:
    """A description, checked. Sides in pixels.

    size         of what the network sees
    resized      (height, width), or None
    shorter      what the shorter side is resized to, or None
    pad          zeros left, top, right, bottom, or None
    centre_crop  side, or None
    mean, std    of red, green and blue, in 0 … 1
    """

    size: int
    resized: tuple[int, int] | None
    shorter: int | None
    pad: tuple[int, int, int, int] | None
    centre_crop: int | None
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Preprocessing:
        """Raises ValueError for what is no description, or one of another kind."""
        given = record(dict(description), "size", "resize", "pad", "centre_crop", "mean", "std")
        resize, pad, crop = given["resize"], given["pad"], given["centre_crop"]
        resized = shorter = None
        if resize is not None and "shorter_side" in mapping(resize):
            shorter = _side(resize["shorter_side"])
        elif resize is not None:
            height, width = (_side(each) for each in _list(record(resize, "size")["size"], 2))
            resized = height, width
        if resize is not None and resize.get("interpolation") != "bilinear":
            raise ValueError("has a preprocessing with another interpolation than bilinear")
        zeros = None
        if pad is not None:
            left, top, right, bottom = (
                count(record(pad, side)[side]) for side in ("left", "top", "right", "bottom")
            )
            zeros = left, top, right, bottom
            if max(zeros) > _MOST_PIXELS:
                raise ValueError("has a preprocessing that pads too much")
        mean, std = (_channels(given[name]) for name in ("mean", "std"))
        if not (std > 0).all():
            raise ValueError("has a preprocessing with a std that is not positive")
        return cls(
            _side(given["size"]), resized, shorter, zeros, None if crop is None else _side(crop), mean, std
        )

    def network_input(self, image: Image, where: str) -> npt.NDArray[np.float32]:
        """An RGB image → [1, 3, size, size]. Raises InputError for one of a size that is not resized."""
        if self.shorter is not None:
            image = _resized(_without_ends(image), self.shorter)
        if self.centre_crop is not None:
            image = _cropped(image, self.centre_crop)
        pixels = np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)
        if self.resized is not None:
            pixels = _interpolated(pixels, *self.resized)
        if self.pad is not None:
            left, top, right, bottom = self.pad
            if pixels.shape[1] + top + bottom == self.size and pixels.shape[2] + left + right == self.size:
                pixels = np.pad(pixels, ((0, 0), (top, bottom), (left, right)))
        if pixels.shape[1:] != (self.size, self.size):
            height, width = pixels.shape[1:]
            inner = self.size - (0 if self.pad is None else self.pad[1] + self.pad[3])
            raise InputError(
                f"{where}: has {height}×{width} pixels, expected {inner}×{inner}, since this network's "
                "preprocessing resizes nothing; resize the image before"
            )
        scaled = pixels.astype(np.float32) / np.float32(255)
        return ((scaled - self.mean[:, None, None]) / self.std[:, None, None])[None]


def _side(value: object) -> int:
    if not 1 <= (side := count(value)) <= _MOST_PIXELS:
        raise ValueError(f"has a preprocessing with a side of {side} pixels")
    return side


def _list(value: object, length: int) -> list[Any]:
    if len(values := sequence(value)) != length:
        raise ValueError(f"has a preprocessing with {len(values)} numbers instead of {length}")
    return values


def _channels(value: object) -> npt.NDArray[np.float32]:
    """Per channel; one number is that of all three."""
    values = sequence(value)
    three = _list(values * 3 if len(values) == 1 else values, 3)
    return np.array([number(each) for each in three], dtype=np.float32)


# The steps of evaluation; tests compare them with those of training.


def _without_ends(image: Image) -> Image:
    """The middle of a very long image, where the centre crop is: all of it, resized, is huge."""
    shorter, longer = sorted(image.size)
    if longer <= _THIN * shorter:
        return image
    first = (longer - _THIN * shorter) // 2
    end = first + _THIN * shorter
    return image.crop((first, 0, end, shorter) if image.width == longer else (0, first, shorter, end))


def _resized(image: Image, shorter: int) -> Image:
    from PIL.Image import Resampling

    width, height = image.size
    if width <= height:
        size = shorter, int(shorter * height / width)
    else:
        size = int(shorter * width / height), shorter
    return image if size == image.size else image.resize(size, Resampling.BILINEAR)


def _cropped(image: Image, side: int) -> Image:
    left, top = round((image.width - side) / 2.0), round((image.height - side) / 2.0)
    return image.crop((left, top, left + side, top + side))


def _interpolated(pixels: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Interpolated in float32, as training does it."""
    from PIL import Image

    resized = [
        Image.fromarray(channel.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        for channel in pixels
    ]
    return np.stack([np.asarray(each) for each in resized]).round().clip(0, 255).astype(np.uint8)
