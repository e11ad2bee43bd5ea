"""From an image file to the network's input, with NumPy and Pillow: what evaluation did in training.

The description is that of `dnw_graph.data.preprocessing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dnw_graph.runtime.plain import count, mapping, number, record, sequence

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST_PIXELS = 1 << 14
# From this ratio of its sides on, an image's middle is all that is looked at.
_THIN = 32
_BORDERS = ("left", "top", "right", "bottom")


@dataclass(frozen=True)
class Preprocessing:
    """A description, checked. Sides in pixels.

    size       of what the network sees
    shorter    what the shorter side is resized to, before the centre of `size` is cut out; None: an image
               is resized to what is left of `size` inside of the zeros
    pad        zeros left, top, right, bottom
    mean, std  of red, green and blue, in 0 … 1
    """

    size: int
    shorter: int | None
    pad: tuple[int, int, int, int]
    mean: npt.NDArray[np.float32]
    std: npt.NDArray[np.float32]

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> Preprocessing:
        """Raises ValueError for what is no description, or one of another kind."""
        given = record(dict(description), "size", "resize", "pad", "centre_crop", "mean", "std")
        size, resize, pad = _side(given["size"]), given["resize"], given["pad"]
        left, top, right, bottom = (
            count(record(pad or dict.fromkeys(_BORDERS, 0), side)[side]) for side in _BORDERS
        )
        stored = [size - top - bottom, size - left - right]
        shorter = None
        if resize is not None and mapping(resize).get("interpolation") != "bilinear":
            raise ValueError("has a preprocessing with another interpolation than bilinear")
        if resize is not None and resize.get("shorter_side") is not None:
            shorter = _side(resize["shorter_side"])
        elif min(stored) < 1 or (resize is not None and resize.get("size") != stored):
            raise ValueError(f"has a preprocessing that does not end with {size}×{size} pixels")
        if given["centre_crop"] not in (None, size):
            raise ValueError(f"has a preprocessing that cuts out other than {size}×{size} pixels")
        mean, std = (_channels(given[name]) for name in ("mean", "std"))
        if not (std > 0).all():
            raise ValueError("has a preprocessing with a std that is not positive")
        return cls(size, shorter, (left, top, right, bottom), mean, std)

    def network_input(self, image: Image) -> npt.NDArray[np.float32]:
        """An RGB image → [1, 3, size, size]."""
        if self.shorter is not None:
            image = _cropped(_resized(_without_ends(image), self.shorter), self.size)
        pixels = np.asarray(image, dtype=np.uint8).transpose(2, 0, 1)
        if self.shorter is None:
            left, top, right, bottom = self.pad
            pixels = _interpolated(pixels, self.size - top - bottom, self.size - left - right)
            pixels = np.pad(pixels, ((0, 0), (top, bottom), (left, right)))
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
    if pixels.shape[1:] == (height, width):
        return pixels
    from PIL import Image

    resized = [
        Image.fromarray(channel.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        for channel in pixels
    ]
    return np.stack([np.asarray(each) for each in resized]).round().clip(0, 255).astype(np.uint8)
