"""Data directories, and downloads into them by torchvision."""

from __future__ import annotations

import http.client
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dnw_graph.errors import InputError


def data_directory(directory: str | None, *, for_download: bool = False) -> Path | None:
    """The configured data directory, which must exist; None if none was given.

    for_download  whether what is not in it can be downloaded into it
    """
    if directory is None:
        return None
    root = Path(directory).expanduser()
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "does not exist"
        empty = " (it may be empty, for a download)" if for_download else ""
        raise InputError(f"data.directory: {root} {what}; give an existing one{empty}")
    return root


@contextmanager
def downloading(name: str, root: Path, instead: str) -> Iterator[None]:
    """A failed torchvision download into `root` becomes an InputError that says what to do `instead`."""
    try:
        yield
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name} could not be downloaded into {root} ({reason}); {instead}") from error


@contextmanager
def one_process_at_a_time(root: Path) -> Iterator[None]:
    """Hold a lock on a directory while looking for files there and downloading them.

    The ranks of a parallel run all come here: the first downloads, the others then find the files whole.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(root, os.O_RDONLY)
    try:
        # Some network file systems have no locks; a single process needs none.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
