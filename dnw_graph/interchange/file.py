"""Reading and writing a graph's file as a whole."""

from __future__ import annotations

from pathlib import Path

from dnw_graph.errors import InputError

# A file beyond this is refused unread; the ImageNet wiring takes 3 MB.
MAX_BYTES = 2 << 30


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, or leave what was there. Raises InputError where the disk refuses."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another place") from None


def read_bytes(path: Path) -> bytes:
    """Read a file of at most MAX_BYTES. Raises InputError if there is none."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: {size} bytes are more than a wiring takes (at most {MAX_BYTES})")
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the path of a graph file"
        ) from None
