"""What a file may cost to read: nothing that it says of itself is believed."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_FREE = 32 << 20
_TIMES = 64


def most_unpacked(size: int) -> int:
    """Bytes that a file of `size` bytes may unpack to.

    64 times its size, and 32 MB for small ones; stored wirings and images unpack to 2 to 20 times theirs.
    """
    return _FREE + _TIMES * size


def open_file(path: str | Path) -> BinaryIO:
    """A file, opened for reading. Raises OSError for a directory, and for pipes and devices.

    Those may have no end, or make whoever opens them wait for ever.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.ENXIO, "it is a pipe or device, not a file", str(path))


def read_file(path: str | Path, most: int) -> bytes:
    """The content of a file of at most `most` bytes. Raises OSError like `open_file`, and for larger ones."""
    with open_file(path) as file:
        if (size := os.fstat(file.fileno()).st_size) <= most:
            return file.read(size)
    raise OSError(errno.EFBIG, f"it is larger than {most:,} bytes, the most that is read", str(path))
