"""How objects show themselves: a few lines in a terminal, a small table in a notebook."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from typing import Any

Rows = Sequence[tuple[str, str]]

_LONGEST = 100
"""Letters of a value."""


class Shown:
    """Base of objects whose `repr` is a title and a few named lines; a dataclass needs `repr=False`."""

    def shown(self) -> tuple[str, Rows]:
        """The title, and (name, value) of each line; of a dataclass, its fields."""
        rows = [(each.name, brief(getattr(self, each.name))) for each in fields(self)]  # type: ignore[arg-type]
        return type(self).__name__, rows

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


def brief(value: Any) -> str:
    """A value in part of a line: of arrays and lists, how much there is and of what size."""
    if isinstance(value, Shown):
        return value.shown()[0]
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return _array(value)
    if isinstance(value, (tuple, list)) and len(value) > 5:
        return f"{counted(len(value), 'entry', 'entries')}: {_cut(', '.join(map(brief, value[:3])), 60)}, …"
    if isinstance(value, (tuple, list)):
        return _cut(", ".join(map(brief, value)))
    if isinstance(value, Mapping):
        return _cut(", ".join(f"{name} {brief(each)}" for name, each in value.items()))
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return _cut(value if isinstance(value, str) else repr(value))


def counted(number: int, noun: str, several: str | None = None) -> str:
    """`1 edge`, `1,200 edges`."""
    return f"{number:,} {noun if number == 1 else several or f'{noun}s'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many there are if these are not all."""
    more = len(names) > most
    return ", ".join(names[:most]) + (f", … ({len(names):,} in all)" if more else "")


def _array(values: Any) -> str:
    kind = f"{str(values.dtype).removeprefix('torch.')} {list(values.shape)}"
    code = getattr(values.dtype, "kind", "")
    if code == "b":
        return f"{kind}, {int(values.sum()):,} true"
    if code in "iuf" and code and values.size:
        return f"{kind}, {brief(values.min().item())} to {brief(values.max().item())}"
    return kind


def _cut(text: str, longest: int = _LONGEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
