"""What public functions are given: a sentence for an argument of another kind."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from dnw_graph.errors import InputError


def expect(value: Any, kinds: type | tuple[type, ...], name: str, wanted: str) -> None:
    """Raise InputError unless an argument is of one of these types.

    name    of the argument, or what it is for
    wanted  what to give instead
    """
    if not isinstance(value, kinds):
        raise InputError(f"{name} {_said(value)} is a {type(value).__name__}; give {wanted}")


def path_of(value: Any, name: str) -> Path:
    """A path that the system can look for, whether there is something or not."""
    expect(value, (str, os.PathLike), name, "a path")
    try:
        os.lstat(value)
    except ValueError:
        raise InputError(
            f"{name} {_said(value)} is no path, for it holds a zero byte; give another"
        ) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InputError(f"{name} {_said(value)} is too long for a path; give a shorter one") from None
    return Path(os.fsdecode(value))


def whole_number(value: Any, name: str, least: int | None = None, most: int | None = None) -> int:
    """An int in a range, both ends included. True is no number."""
    low = "" if least is None else f" from {least} on"
    span = low if most is None else f" from {least} to {most}"
    expect(value, Integral, name, f"a whole number{span}")
    lowest, highest = -(2**63) if least is None else least, 2**63 - 1 if most is None else most
    if isinstance(value, bool) or not lowest <= value <= highest:
        raise InputError(f"{name} {_said(value)} is out of range; give a whole number{span}")
    return int(value)


def number(value: Any, name: str) -> None:
    """Raise InputError unless an argument is a number. True is none."""
    expect(value, Real, name, "a number")
    if isinstance(value, bool):
        raise InputError(f"{name} {value} is no number; give one")


def one_of(value: Any, known: Collection[str], name: str) -> None:
    """Raise InputError unless a word is among those known."""
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} {_said(value)} is unknown; use {' or '.join(known)}")


def several(values: Any, name: str, wanted: str) -> list[Any]:
    """A list of what can be gone through; a lone word cannot."""
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise InputError(f"{name} {_said(values)} is no list; give {wanted}")
    return list(values)


def _said(value: Any) -> str:
    """A value in a sentence: on one line, and not all of a long one."""
    if not isinstance(value, (str, bytes, int, float, tuple, list, dict, set, os.PathLike, type(None))):
        return "that was given"
    text = ascii(value) if isinstance(value, (str, bytes)) else repr(value)
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
