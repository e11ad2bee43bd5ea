"""An image file as 8-bit RGB, or why it cannot be.

Files are what their content says, whatever their suffix; only the formats of `SUFFIXES` are looked for, so
that no other decoder of Pillow meets a stranger's bytes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image, UnidentifiedImageError

from dnw_graph.limits import open_file

SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF")
EIGHT_BIT_MODES = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
MAX_PIXELS = 89_478_485
"""The number from which Pillow warns; as RGB a quarter of a gigabyte."""

_BITS_PER_SAMPLE = 258  # tag of TIFF
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


@dataclass(frozen=True)
class Unreadable:
    """An image that could not be decoded; returned, as a worker's error would come as a long traceback."""

    path: str
    reason: str


def decode(source: str | bytes | Image.Image, name: str | None = None) -> Image.Image | Unreadable:
    """Read an image as 8-bit RGB.

    source  the path of a file, the bytes of one, or what Pillow opened
    name    what it is called in a refusal, if not its path
    """
    called = name if name is not None else source if isinstance(source, str) else "image"
    try:
        # Pillow warns of odd metadata, which is none of our business, and of sizes, which are looked at here.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if isinstance(source, Image.Image):
                return _as_rgb(source, called)
            with (
                BytesIO(source) if isinstance(source, bytes) else open_file(source) as file,
                Image.open(file, formats=FORMATS) as image,
            ):
                return _as_rgb(image, called)
    except UnidentifiedImageError:
        return Unreadable(called, "cannot be decoded (not an image that Pillow knows)")
    # On damaged bytes decoders raise OSError, SyntaxError, ValueError, TypeError, …: all mean this file.
    except Exception as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
        return Unreadable(called, f"cannot be decoded ({reason})")


def _as_rgb(image: Image.Image, name: str) -> Image.Image | Unreadable:
    if image.width * image.height > MAX_PIXELS:
        size = f"{image.width}×{image.height}"
        return Unreadable(name, f"has {size} pixels, expected at most {MAX_PIXELS:,}")
    if (kind := deep_kind(image)) is not None:
        return Unreadable(name, f"has pixels of kind {kind}, expected at most 8 bits per channel")
    return image.convert("RGB")


def is_image(head: bytes) -> bool:
    """Whether the first 16 bytes of something are those of an image file, in one of `FORMATS`."""
    is_bitmap = head[:2] == b"BM" and head[6:10] == bytes(4)
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_netpbm = head[:1] == b"P" and head[1:2] in b"123456" and head[2:3].isspace()
    return is_bitmap or is_webp or is_netpbm or head.startswith(_SIGNATURES)


def deep_kind(image: Any) -> str | None:
    """What an image is called that has more than 8 bits per channel; None for others.

    Pillow converts deep colour to 8 bits as it decodes, so the mode alone does not tell.
    """
    if image.mode not in EIGHT_BIT_MODES:
        return str(image.mode)
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (1,))
        return f"{image.mode} of {max(bits)} bits" if max(bits) > 8 else None
    for _, _, _, arguments in getattr(image, "tile", []):
        given = arguments if isinstance(arguments, tuple) else (arguments,)
        if image.format == "PNG" and ";16" in str(given[0]):
            return str(given[0])
        if image.format == "PPM" and any(type(each) is int and each > 255 for each in given[1:]):
            return f"{image.mode} up to {given[1]}"
    return None
