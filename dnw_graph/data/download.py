"""Data directories, and downloads into them by torchvision."""

from __future__ import annotations

import http.client
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnw_graph.errors import InputError


def data_directory(directory: str | None) -> Path | None:
    """The configured data directory, which must exist; None if none was given."""
    if directory is None:
        return None
    root = Path(directory).expanduser()
    if not root.is_dir():
        what = "is not a directory" if root.exists() else "does not exist"
        raise InputError(
            f"data.directory: {root} {what}; give an existing one (it may be empty, for a download)"
        )
    return root


@contextmanager
def downloading(name: str, root: Path, instead: str) -> Iterator[None]:
    """Run a torchvision download into `root`, one process at a time; a failure becomes an InputError.

    The ranks of a parallel run all come here: the first downloads, the others then find the files.
    """
    try:
        with _locked(root):
            yield
    except (OSError, RuntimeError, http.client.HTTPException) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{name} could not be downloaded into {root} ({reason}); {instead}") from error


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # not on Windows, where parallel runs are not supported either
        yield
        return
    descriptor = os.open(root, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
