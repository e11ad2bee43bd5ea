"""What a network is given: a batch of images, or a sentence that says what is wrong with it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.models.stems import TinyStem


def check_batch(images: Tensor, like: Tensor, image_size: int | None = None) -> None:
    """Raise InputError unless `images` are floats [B, 3, H, W] of the network's dtype and on its device.

    like        a weight of the network
    image_size  of a network that reads images of one size only; the size to which its stem's maps are
                rounded counts
    Looks at nothing but shape and kind. While torch.jit or torch.fx follow the network, it does not look.
    """
    if isinstance(images, torch.fx.Proxy) or torch.jit.is_tracing():  # type: ignore[attr-defined]
        return
    fits = (
        isinstance(images, Tensor)
        and not images.is_nested
        and images.dim() == 4
        and images.shape[1] == 3
        and images.dtype == like.dtype
        and images.device == like.device
        and images.layout == torch.strided
        and 0 not in images.shape[2:]
        and (image_size is None or _side(images.shape[2]) == _side(images.shape[3]) == _side(image_size))
    )
    if fits:
        return
    wrong = _wrong_kind(images) or _wrong_shape(images, image_size) or _wrong_numbers(images, like)
    if wrong is not None:
        given, fix = wrong
        size = "H, W" if image_size is None else f"{image_size}, {image_size}"
        wanted = f"{_name(like.dtype)} [B, 3, {size}] on {like.device}"
        raise InputError(f"images are {given}, and this network takes {wanted}; {fix}")


def refuse_tracers(images: Any) -> None:
    """Raise InputError where torch.jit or torch.fx follow a network whose path depends on shapes."""
    if isinstance(images, torch.fx.Proxy) or torch.jit.is_tracing():  # type: ignore[attr-defined]
        raise InputError(
            "torch.jit.trace and torch.fx.symbolic_trace cannot follow a wired network, whose path depends "
            "on shapes; use torch.export.export(model, (images,))"
        )


def _side(side: int) -> int:
    return TinyStem.side(side)


def _wrong_kind(images: Any) -> tuple[str, str] | None:
    """(what was given, the fix)"""
    if not isinstance(images, Tensor):
        kind = type(images).__name__
        if kind in ("list", "tuple"):
            return f"a {kind}", "give torch.stack(images)"
        return f"{kind}", "give torch.from_numpy(images)" if kind == "ndarray" else "give a tensor"
    if images.is_nested:
        return "a nested tensor", "give images of one size, torch.stack(images.unbind())"
    if images.layout != torch.strided:
        return f"a tensor of layout {images.layout}", "give images.to_dense()"
    return None


def _wrong_shape(images: Tensor, image_size: int | None) -> tuple[str, str] | None:
    shape = list(images.shape)
    given = f"of shape {shape}"
    if len(shape) == 3 and shape[0] == 3:
        return given, "give a single image as images[None]"
    if len(shape) != 4:
        return given, "give a batch of images"
    if shape[1] == 1:
        return given, "repeat the channel of grey images, images.expand(-1, 3, -1, -1)"
    if shape[1] != 3:
        return given, "give images.permute(0, 3, 1, 2)" if shape[3] == 3 else "give red, green and blue"
    if 0 in shape[2:]:
        return given, "give images that have pixels"
    if image_size is not None and not _side(shape[2]) == _side(shape[3]) == _side(image_size):
        return given, f"resize them to {image_size}×{image_size} pixels"
    return None


def _wrong_numbers(images: Tensor, like: Tensor) -> tuple[str, str] | None:
    if images.device != like.device:
        return f"on {images.device}", f"move them with images.to({str(like.device)!r})"
    # Autocast converts numbers of any precision as it goes.
    free = images.is_floating_point() and torch.is_autocast_enabled(images.device.type)
    if images.dtype == like.dtype or free:
        return None
    if images.is_floating_point():
        return f"{_name(images.dtype)}", f"convert them with images.to({like.dtype})"
    return (
        f"{_name(images.dtype)}",
        "prepare pixels as those of the training, as run.preprocess of load_run does",
    )


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
