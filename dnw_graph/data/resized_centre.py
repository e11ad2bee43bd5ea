"""What evaluation does to an image of any size: its shorter side is resized, then the centre is cut out."""

from __future__ import annotations

from typing import Any

from PIL import Image

from dnw_graph.dependencies import load_torchvision

THIN = 32
"""From this ratio of its sides on, evaluation looks at the middle of an image alone."""


def shorter_side_of(image_size: int) -> int:
    """To which side an image is resized before the centre is cut out, in pixels."""
    return round(image_size * 256 / 224)


def centre_steps(shorter_side: int, image_size: int) -> list[Any]:
    """torchvision's transforms of an RGB image, to be followed by one that makes a tensor."""
    load_torchvision()
    from torchvision.transforms import v2

    return [cut_thin, v2.Resize(shorter_side), v2.CenterCrop(image_size)]


def cut_thin(image: Image.Image) -> Image.Image:
    """Leave the middle of a very long image, where the centre crop is: all of it, resized, is huge."""
    shorter, longer = sorted(image.size)
    if longer <= THIN * shorter:
        return image
    middle = (longer - THIN * shorter) // 2
    end = middle + THIN * shorter
    box = (middle, 0, end, shorter) if image.width > image.height else (0, middle, shorter, end)
    return image.crop(box)
