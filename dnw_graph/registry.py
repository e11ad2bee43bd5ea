"""Registries: what a configuration may name under one key, the package's own and a plugin's alike."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar

from dnw_graph.errors import InputError

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by name.

    key      of the configuration that names them, such as model.network
    what     one of them in a word, for messages
    entries  name → entry
    """

    every: ClassVar[list[Registry[Any]]] = []
    """All registries, for the loader of plugins."""

    def __init__(self, key: str, what: str) -> None:
        self.key, self.what = key, what
        self.entries: dict[str, Entry] = {}
        self._owners: dict[str, str] = {}
        Registry.every.append(self)

    def add(self, name: str, entry: Entry, source: Any) -> None:
        """Register an entry made from a class or function, or from its place "module:name".

        Raises InputError if another one has the name; the same may come again, when a file is loaded twice.
        """
        owner = source if isinstance(source, str) else f"{source.__module__}:{source.__qualname__}"
        if not isinstance(name, str) or not name:
            raise InputError(f"{self.what} {owner} is registered as {name!r}; give its name, a word")
        taken = self._owners.get(name)
        if taken is not None and taken != owner:
            raise InputError(f"{self.what} name {name!r} is taken by {taken}; choose another name")
        self.entries[name], self._owners[name] = entry, owner

    def get(self, name: str) -> Entry:
        """The entry of that name. Raises InputError, with the nearest name, if there is none."""
        if name not in self.entries:
            raise InputError(f"{self.key} {name!r} {self.unknown(name)}")
        return self.entries[name]

    def unknown(self, name: str) -> str:
        """What is said of a name that is none of ours."""
        return f"is no known {self.what}; {nearest(name, self.entries)} (--plugin FILE adds your own)"


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name most like a wrong one, or all of them if none is alike, to end a sentence."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]}" if close else f"known are {', '.join(names) or 'none'}"


def resolve(place: Any) -> Any:
    """What lies at "module:name", imported now; anything else is returned as it is."""
    if not isinstance(place, str):
        return place
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
