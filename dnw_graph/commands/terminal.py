"""Where commands print: tables on stdout, on a terminal or through a pipe; what one waits for on stderr."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from rich.console import Console
from rich.text import Text

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


@contextmanager
def waiting(text: str) -> Iterator[Callable[[str], None]]:
    """A line on stderr that moves while work goes on, on a terminal only; yields what changes its text."""
    with Console(stderr=True).status(Text(text)) as status:
        # As text: a path may have brackets.
        yield lambda now: status.update(Text(now))
