"""Reading and writing a graph's files as a whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from dnw_graph.errors import InputError
from dnw_graph.limits import open_file

# A file beyond these is refused; the ImageNet wiring (158,944 edges) takes 3 MB as .npz, 19 MB as text.
MAX_BYTES = 512 << 20
MAX_TEXT_BYTES = 256 << 20

_CHUNK = 1 << 16


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file, or leave what was there. Raises InputError where the disk refuses."""
    write_files({path: [data]})


def write_text(path: Path, chunks: Iterable[str]) -> None:
    """Write a file in UTF-8 piece by piece, or leave what was there. Raises InputError like `write_bytes`."""
    write_files({path: (chunk.encode() for chunk in chunks)})


def write_files(files: Mapping[Path, Iterable[bytes]]) -> None:
    """Write all of these files, or leave what was there. Raises InputError like `write_bytes`."""
    temporaries: dict[Path, Path] = {}
    at = next(iter(files))
    try:
        for at, chunks in files.items():
            temporaries[at] = temporary_beside(at)
            with temporaries[at].open("wb") as file:
                file.writelines(chunks)
        for at, temporary in temporaries.items():
            temporary.replace(at)
    except OSError as error:
        raise InputError(f"{at}: cannot be written ({error.strerror}); choose another place") from None
    finally:
        for temporary in temporaries.values():
            temporary.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """Where this process writes a file until it is whole; of two that write one file, each has its own.

    Raises OSError for a directory, and for a pipe or device: a file would take its place.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        raise OSError(errno.ENXIO, "it is a pipe or device, not a file")
    return path.with_name(f".{path.name}.{os.getpid()}.new")


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """Read a file of at most `limit` bytes. Raises InputError if there is none."""
    return b"".join(read_chunks(path, limit))


def read_text(path: Path) -> str:
    """Read a file in UTF-8, of at most MAX_TEXT_BYTES. Raises InputError like `read_bytes`."""
    try:
        return read_bytes(path, MAX_TEXT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8; it is damaged or of another kind") from None


def read_chunks(path: Path, limit: int) -> Iterator[bytes]:
    """The content of a file, piece by piece. Raises InputError like `read_bytes`."""
    total = 0
    try:
        with open_file(path) as file:
            while chunk := file.read(_CHUNK):
                total += len(chunk)
                if total > limit:
                    raise InputError(f"{path}: is larger than {limit} bytes, the most that is read")
                yield chunk
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); give the path of a graph file"
        ) from None
