"""Where commands print tables: stdout, on a terminal or through a pipe."""

from __future__ import annotations

import sys
from typing import NoReturn

from rich.console import Console

WIDTH_OF_A_PIPE = 160


class _Console(Console):
    def on_broken_pipe(self) -> NoReturn:
        """rich would exit with 1; the entry point ends quietly, as for everything that prints."""
        raise BrokenPipeError


def console() -> Console:
    """A console on stdout that prints text as it is; wide in a pipe, so that tables stay whole."""
    found = _Console(file=sys.stdout, highlight=False, markup=False)
    if not found.is_terminal:
        found.width = WIDTH_OF_A_PIPE
    return found
