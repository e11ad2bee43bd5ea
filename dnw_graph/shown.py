"""How objects show themselves: a few lines in a terminal, a small table in a notebook."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from html import escape

Rows = Sequence[tuple[str, str]]


class Shown:
    """Base of objects whose `repr` is a title and a few named lines. A dataclass needs `repr=False` for it."""

    @abstractmethod
    def shown(self) -> tuple[str, Rows]:
        """The title, and (name, value) of each line."""

    def __repr__(self) -> str:
        title, rows = self.shown()
        width = max((len(name) for name, _ in rows), default=0)
        return "\n".join([title, *(f"  {name:{width}}  {value}".rstrip() for name, value in rows)])

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        title, rows = self.shown()
        cells = "".join(
            f'<tr><th style="text-align:left">{escape(name)}</th>'
            f'<td style="text-align:left">{escape(value)}</td></tr>'
            for name, value in rows
        )
        return f"<p><b>{escape(title)}</b></p><table>{cells}</table>"


def counted(number: int, noun: str) -> str:
    """`1 edge`, `1,200 edges`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f", … ({len(names):,} in all)" if more > 0 else "")
