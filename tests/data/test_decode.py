"""What is decoded is 8-bit RGB, whatever the file is called; everything else is refused by name."""

from __future__ import annotations

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from dnw_graph.data.decode import Unreadable, decode


def png(kind: int, bits: int, channels: int, side: int = 8) -> bytes:
    """A PNG of one value in all of its pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checked

    row = b"\0" + np.full((side, channels), 200, f">u{bits // 8}").tobytes()
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, bits, kind, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(row * side))
        + chunk(b"IEND", b"")
    )


def tiff(bits: int, channels: int, photometric: int) -> bytes:
    """An uncompressed TIFF of 4×4 pixels with one value in all of them."""
    pixels = np.full((4, 4, channels), 200, f"<u{bits // 8}").tobytes()
    entries = [
        (256, 3, 1, 4),
        (257, 3, 1, 4),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (277, 3, 1, channels),
    ]
    start = 8 + 2 + 12 * 8 + 4
    entries += [(258, 3, channels, bits if channels < 3 else start), (273, 4, 1, start + 2 * channels)]
    entries += [(279, 4, 1, len(pixels))]
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4)
    return head + struct.pack(f"<{channels}H", *(bits,) * channels) + pixels


DEEP = {
    "grey.png": png(0, 16, 1),
    "rgb.png": png(2, 16, 3),
    "grey_alpha.png": png(4, 16, 2),
    "rgba.png": png(6, 16, 4),
    "colour.ppm": b"P6\n4 4\n65535\n" + np.full(48, 200, ">u2").tobytes(),
    "twelve.ppm": b"P6\n4 4\n4095\n" + np.full(48, 200, ">u2").tobytes(),
    "grey.pgm": b"P5\n4 4\n65535\n" + np.full(16, 200, ">u2").tobytes(),
    "rgb.tif": tiff(16, 3, 2),
    "cmyk.tif": tiff(16, 4, 5),
    "grey.tif": tiff(16, 1, 1),
}
PLAIN = {
    "grey.png": png(0, 8, 1),
    "rgb.png": png(2, 8, 3),
    "grey_alpha.png": png(4, 8, 2),
    "rgba.png": png(6, 8, 4),
    "colour.ppm": b"P6\n4 4\n255\n" + bytes([200] * 48),
    "few.ppm": b"P6\n4 4\n15\n" + bytes([12] * 48),
    "rgb.tif": tiff(8, 3, 2),
    "grey.tif": tiff(8, 1, 1),
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("suffix", ["", ".jpg"])
def test_more_than_eight_bits_are_refused_in_every_format(tmp_path, name, suffix):
    path = tmp_path / f"{name}{suffix}"
    path.write_bytes(DEEP[name])
    found = decode(str(path))
    assert isinstance(found, Unreadable)
    assert "expected at most 8 bits per channel" in found.reason


@pytest.mark.parametrize("name", PLAIN)
def test_eight_bits_are_kept_in_every_format(tmp_path, name):
    (tmp_path / name).write_bytes(PLAIN[name])
    found = decode(str(tmp_path / name))
    assert not isinstance(found, Unreadable), found.reason
    value = 204 if name == "few.ppm" else 200
    assert (found.mode, found.getpixel((1, 1))) == ("RGB", (value,) * 3)


@pytest.mark.parametrize("mode", ["LAB", "F", "I"])
def test_other_colour_spaces_are_refused(tmp_path, mode):
    Image.new(mode, (4, 4)).save(tmp_path / "a.tif")
    found = decode(str(tmp_path / "a.tif"))
    assert isinstance(found, Unreadable)
    assert f"has pixels of kind {mode}" in found.reason


@pytest.mark.parametrize("format", ["EPS", "ICO", "SGI", "TGA", "PCX", "JPEG2000"])
def test_formats_that_are_not_listed_are_not_decoded_under_a_listed_name(tmp_path, format):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png", format=format)
    found = decode(str(tmp_path / "a.png"))
    assert isinstance(found, Unreadable)
    assert "not an image that Pillow knows" in found.reason


def test_a_huge_header_is_refused_before_anything_is_unpacked(tmp_path):
    data = bytearray(png(2, 8, 3))
    data[16:24] = struct.pack(">II", 12_000, 9_000)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    (tmp_path / "a.png").write_bytes(data)
    found = decode(str(tmp_path / "a.png"))
    assert isinstance(found, Unreadable)
    assert "has 12000×9000 pixels, expected at most 89,478,485" in found.reason


def test_a_pipe_is_refused_and_nobody_waits_for_it(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    found = decode(str(tmp_path / "a.png"))
    assert isinstance(found, Unreadable)
    assert "it is a pipe or device, not a file" in found.reason
