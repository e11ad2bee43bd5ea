"""The formats of wirings: their names, suffixes and modules."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from dnw_graph.arguments import expect
from dnw_graph.errors import InputError


@dataclass(frozen=True)
class Format:
    """One format.

    name    as said on the command line
    suffix  of its files
    module  its file of this package, with `write(graph, path, report)`, and `read(path)` if it can be read
    unread  why it is not read back; empty where it is
    trusted_only  whether reading it is safe only for files of one's own
    """

    name: str
    suffix: str
    module: str
    unread: str = ""
    trusted_only: bool = False

    def load(self) -> Any:
        """The module."""
        return import_module(f"dnw_graph.interchange.{self.module}")


_ALL = (
    Format("npz", ".npz", "npz"),
    Format("graphml", ".graphml", "graphml"),
    Format("gexf", ".gexf", "gexf", unread="GEXF is written for Gephi and not read back"),
    Format("json", ".json", "node_link"),
    Format("csv", ".csv", "edge_list"),
    Format("dgl", ".bin", "dgl_binary", trusted_only=True),
    Format("dot", ".dot", "dot", unread="DOT is written for Graphviz and not read back"),
)
FORMATS = {each.suffix: each for each in _ALL}
"""Suffix of a file → its format."""

BY_NAME = {each.name: each for each in _ALL}
"""Name on the command line → format."""

READABLE = tuple(each.suffix for each in _ALL if not (each.unread or each.trusted_only))
"""Suffixes of the formats that are read from anywhere."""


def find_format(path: Path, name: str | None = None) -> Format:
    """The format by its name, or else by the suffix of the file. Raises InputError if there is none, or if
    the file has the suffix of another format than the one named.
    """
    if not path.name:
        raise InputError(f'"{path}": is no name of a file; give one, such as wiring.graphml')
    of_suffix = FORMATS.get(path.suffix.lower())
    if name is None:
        if of_suffix is None:
            known = ", ".join(FORMATS)
            raise InputError(f"{path}: the suffix {path.suffix!r} names no format for graphs; use {known}")
        return of_suffix
    expect(name, str, "format", f"one of {', '.join(BY_NAME)}")
    if name not in BY_NAME:
        raise InputError(f"{path}: {name!r} is no format for graphs; use {', '.join(BY_NAME)}")
    if of_suffix is not None and of_suffix.name != name:
        raise InputError(
            f"{path}: the suffix is that of {of_suffix.name}; for {name} use {BY_NAME[name].suffix}"
        )
    return BY_NAME[name]
