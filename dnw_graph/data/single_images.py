"""Images of a user's own, one at a time, as evaluation prepares those of the data set."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from dnw_graph.data.decode import Unreadable, decode
from dnw_graph.data.image_folder import MEAN, STD
from dnw_graph.data.preprocessing import describe, fit_images, normalise
from dnw_graph.data.resized_centre import centre_steps, shorter_side_of
from dnw_graph.errors import InputError
from dnw_graph.shown import Rows, Shown

ImageLike = str | os.PathLike[str] | bytes | Image.Image | np.ndarray[Any, Any] | Tensor

KINDS = (
    "a file's path, its bytes, a PIL image, a NumPy array uint8 [H, W] or [H, W, 1, 3 or 4], or a tensor "
    "uint8 [1, 3 or 4, H, W]"
)

_Side = Annotated[int, Field(ge=1, le=1 << 17)]
_Border = Annotated[int, Field(ge=0, le=1 << 16)]
_Three = Annotated[list[float], Field(min_length=3, max_length=3)]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="forbid")


class _Resize(_Strict):
    size: Annotated[list[_Side], Field(min_length=2, max_length=2)] | None = None
    shorter_side: _Side | None = None
    interpolation: Literal["bilinear"]
    antialias: Literal[True]


class _Pad(_Strict):
    left: _Border
    top: _Border
    right: _Border
    bottom: _Border
    value: Literal[0]


class _Description(_Strict):
    channels: Literal["RGB"]
    resize: _Resize | None
    pad: _Pad | None
    centre_crop: _Side | None
    value_range: list[float]
    mean: _Three
    std: _Three
    size: _Side


def folder_preprocessing(image_size: int) -> dict[str, Any]:
    """The description of what evaluation does to the images of folders."""
    shorter_side = shorter_side_of(image_size)
    return describe(image_size, MEAN, STD, resize={"shorter_side": shorter_side}, centre_crop=image_size)


class Preprocessing(Shown):
    """An image → float32 [3, S, S], the very bits that evaluation makes of it; a list → [B, 3, S, S].

    Where evaluation knows images of one size only, others are resized to that size first.

    description  what is done, in the words of `dnw_graph.data.preprocessing`
    size         side S of what the network sees, in pixels
    """

    def __init__(self, description: Mapping[str, Any], source: str = "preprocessing") -> None:
        """Raises InputError, naming `source`, for a description that is none."""
        try:
            _Description.model_validate(dict(description))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{source}: preprocessing.{place} is not what this dnw-graph knows ({first['msg']}); use the "
                "dnw-graph that wrote it"
            ) from None
        self.description = dict(description)
        self.size = int(description["size"])
        resize = description["resize"] or {}
        self._centre = resize.get("shorter_side")

    def __call__(self, images: Any) -> Tensor:
        """One image, or several. Raises InputError for what is no image, or cannot be read."""
        if not is_several(images):
            return _readable(self.read(images))
        prepared = [_readable(self.read(each, name)) for name, each in named(images)]
        return torch.stack(prepared) if prepared else torch.zeros(0, 3, self.size, self.size)

    def read(self, image: Any, name: str | None = None) -> Tensor | Unreadable:
        """One image float32 [3, S, S], or why it cannot be one.

        name  what it is called in a refusal, if not its path
        """
        if isinstance(image, Tensor) and image.is_floating_point():
            return self._prepared(image, name or "image")
        picture = _open(image, name)
        if isinstance(picture, Unreadable):
            return picture
        pixels = self._fitted(picture)
        return normalise(pixels[None], self.description["mean"], self.description["std"])[0]

    def _fitted(self, picture: Image.Image) -> Tensor:
        """uint8 [3, S, S]."""
        if self._centre is not None:
            for step in centre_steps(self._centre, self.description["centre_crop"] or self.size):
                picture = step(picture)
        pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None].contiguous()
        if self._centre is not None:
            return pixels[0]
        pad = self.description["pad"] or dict.fromkeys(("left", "top", "right", "bottom"), 0)
        stored = [self.size - pad["top"] - pad["bottom"], self.size - pad["left"] - pad["right"]]
        if self.description["resize"] is None and list(pixels.shape[2:]) != stored:
            pixels = fit_images(pixels, {"resize": {"size": stored}, "pad": None})
        return fit_images(pixels, self.description)[0]

    def _prepared(self, image: Tensor, name: str) -> Tensor | Unreadable:
        """A tensor of floats is taken as it is."""
        wanted = [3, self.size, self.size]
        if list(image.shape) != wanted:
            what = f"has shape {list(image.shape)}, but tensors of floats are taken as prepared, {wanted}"
            return Unreadable(name, f"{what}; give pixels as uint8")
        if not image.isfinite().all():
            return Unreadable(name, "holds NaN or infinity; give finite numbers")
        return image.detach().to("cpu", torch.float32)

    def shown(self) -> tuple[str, Rows]:
        rows = [(name, str(value)) for name, value in self.description.items() if value is not None]
        return f"Preprocessing to [3, {self.size}, {self.size}]", rows


def is_several(images: Any) -> bool:
    """Whether these are several images: a list, an iterator, or an array or tensor of four dimensions."""
    if isinstance(images, (np.ndarray, Tensor)):
        return images.ndim == 4
    lone = isinstance(images, (str, bytes, os.PathLike, Image.Image, Mapping))
    return isinstance(images, Iterable) and not lone


def named(images: Any) -> Iterator[tuple[str | None, Any]]:
    """Several images with their names: None for files, which have one, `image 0` and so on for others."""
    for number, image in enumerate(images):
        yield (None if isinstance(image, (str, os.PathLike)) else f"image {number}"), image


def name_of(image: Any, name: str | None) -> str:
    """What an image is called."""
    if name is not None:
        return name
    return os.fsdecode(image) if isinstance(image, (str, os.PathLike)) else "image"


def _open(image: Any, name: str | None) -> Image.Image | Unreadable:
    called = name_of(image, name)
    if isinstance(image, (str, os.PathLike)):
        path = os.fsdecode(image)
        if os.path.isdir(path):  # noqa: PTH112 (it may hold what no Path can)
            return Unreadable(called, "is a folder; give the images in it")
        return decode(path, called)
    if isinstance(image, (bytes, Image.Image)):
        return decode(image, called)
    if isinstance(image, Tensor):
        if image.dtype != torch.uint8 or image.dim() != 3 or image.shape[0] not in (1, 3, 4):
            return Unreadable(called, f"is a tensor {_kind(image)}; give {KINDS}")
        return _from_pixels(image.detach().cpu().permute(1, 2, 0).numpy(), called)
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (
            image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
        ):
            return Unreadable(called, f"is an array {_kind(image)}; give {KINDS}")
        return _from_pixels(image[..., None] if image.ndim == 2 else image, called)
    raise InputError(f"{called} is a {type(image).__name__}; give {KINDS}")


def _kind(image: Any) -> str:
    return f"{str(image.dtype).removeprefix('torch.')} {list(image.shape)}"


def _from_pixels(pixels: np.ndarray[Any, Any], name: str) -> Image.Image | Unreadable:
    """uint8 [H, W, 1, 3 or 4]; alpha is dropped, as from files."""
    if not pixels.size:
        return Unreadable(name, f"has no pixels, {_kind(pixels)}; give an image")
    colours = pixels[..., :3] if pixels.shape[2] > 1 else pixels.repeat(3, axis=2)
    return decode(Image.fromarray(np.ascontiguousarray(colours)), name)


def _readable(found: Tensor | Unreadable) -> Tensor:
    if isinstance(found, Unreadable):
        raise unreadable(found)
    return found


def unreadable(found: Unreadable) -> InputError:
    """The error for an image that cannot be read."""
    fix = "" if "; " in found.reason else "; give another file"
    return InputError(f"{found.path}: {found.reason}{fix}")
