"""Where commands print tables: stdout, on a terminal or through a pipe."""

from __future__ import annotations

import codecs
import sys
from typing import NoReturn

from rich.console import Console

WIDTH_OF_A_PIPE = 160


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """rich would exit with 1; the entry point ends quietly, as for everything that prints."""
        raise BrokenPipeError


def print_any_name() -> None:
    """Let stdout print any name: bytes that are no text as they are, letters that it lacks escaped."""
    codecs.register_error("any_name", _as_it_came)
    sys.stdout.reconfigure(errors="any_name")  # type: ignore[union-attr]


def _as_it_came(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":
        return letter.encode("utf-8", "surrogateescape"), error.start + 1
    return letter.encode("ascii", "backslashreplace").decode(), error.start + 1


def console() -> Console:
    """A console on stdout that prints text as it is; wide in a pipe, so that tables stay whole."""
    found = _Console(file=sys.stdout, highlight=False, markup=False)
    if not found.is_terminal:
        found.width = WIDTH_OF_A_PIPE
    return found
