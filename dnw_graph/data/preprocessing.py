"""From stored pixels to the network's input, and the description of that in words a file can hold.

A description is a JSON-able dictionary; the steps happen in this order, absent ones are None:
  channels      always "RGB"; grey images are repeated to three channels, alpha is dropped
  resize        {"size": [h, w]} or {"shorter_side": n}, with "interpolation" and "antialias"
  pad           {"left", "top", "right", "bottom": pixels, "value": 0}
  centre_crop   side in pixels
  value_range   [0.0, 1.0], reached by dividing the 8-bit values by 255
  mean, std     per channel, subtracted and divided by, in units of value_range
  size          side in pixels of what the network sees
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dnw_graph.errors import InputError


def describe(
    size: int,
    mean: Sequence[float],
    std: Sequence[float],
    *,
    resize: dict[str, Any] | None = None,
    pad: dict[str, int] | None = None,
    centre_crop: int | None = None,
) -> dict[str, Any]:
    """The description of an evaluation preprocessing; keys in the module's docstring."""
    if resize is not None:
        resize = {**resize, "interpolation": "bilinear", "antialias": True}
    return {
        "channels": "RGB",
        "resize": resize,
        "pad": pad,
        "centre_crop": centre_crop,
        "value_range": [0.0, 1.0],
        "mean": list(mean),
        "std": list(std),
        "size": size,
    }


def fitting(height: int, width: int, size: int, fit: str, source: str) -> dict[str, Any]:
    """How images of height × width become size × size: {} or one of `resize=…`, `pad=…` for `describe`.

    fit "resize" interpolates; "pad" puts zeros around, the odd pixel right and below.
    Raises InputError when padding would have to cut something off.
    """
    if (height, width) == (size, size):
        return {}
    if fit == "resize":
        return {"resize": {"size": [size, size]}}
    if height > size or width > size:
        raise InputError(
            f"{source}: images of {height}×{width} pixels cannot be padded to {size}×{size}; "
            "set data.fit to resize or raise model.image_size"
        )
    top, left = (size - height) // 2, (size - width) // 2
    pad = {"left": left, "top": top, "right": size - width - left, "bottom": size - height - top, "value": 0}
    return {"pad": pad}


def fit_images(images: Tensor, description: dict[str, Any]) -> Tensor:
    """Apply a description's resize or pad: uint8 [N, C, h, w] → uint8 [N, C, S, S]."""
    if description["resize"] is not None:
        # Interpolated in float: torch's 8-bit kernels differ between processors.
        target = torch.empty(*images.shape[:2], *description["resize"]["size"], dtype=torch.uint8)
        for part, out in zip(images.split(1024), target.split(1024), strict=False):
            smooth = F.interpolate(part.float(), size=out.shape[2:], mode="bilinear", antialias=True)
            out.copy_(smooth.round_().clamp_(0, 255))
        return target
    if description["pad"] is not None:
        pad = description["pad"]
        return F.pad(images, (pad["left"], pad["right"], pad["top"], pad["bottom"]))
    return images


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """(images / 255 − mean) / std: uint8 [B, 1 or 3, S, S] → float32 [B, 3, S, S], grey repeated."""
    channels = images.shape[1]
    shift = torch.tensor(mean[:channels], dtype=torch.float32).view(-1, 1, 1)
    scale = torch.tensor(std[:channels], dtype=torch.float32).view(-1, 1, 1)
    result = images.float().div_(255).sub_(shift).div_(scale)
    return result.expand(-1, 3, -1, -1).contiguous()
