"""One HTML file: style, script, arrays."""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path

from torch import nn

from dnw_graph.interchange.file import write_text
from dnw_graph.portable.graph import Graph
from dnw_graph.view.arrays import packed
from dnw_graph.view.content import Content
from dnw_graph.view.source import read_content


def write_page(
    path: str | Path, source: nn.Module | Graph | str | Path, checkpoint: str | None = None
) -> Content:
    """Write the page of a network, of a loaded graph, of a run directory, of a checkpoint, or of a file.

    checkpoint  which one of a run directory: best or last; None: the best, where one was chosen, or the last
    Raises InputError for what has no wiring, is missing or damaged, and where the page cannot be written.
    """
    content = read_content(source, checkpoint)
    write_text(Path(path), [html_of(content)])
    return content


def html_of(content: Content) -> str:
    """The page, which loads nothing: no script, style, font or image of another address."""
    index, data = packed(content.arrays)
    about = {**content.about, "arrays": index}
    parts = {
        "TITLE": html.escape(f"{content.about['name']} · dnw-graph"),
        "STYLE": _built("page.css"),
        "LICENSES": _built("LICENSES.txt").replace("--", "- -"),
        # In a script element, "</" and "<!--" would end or change it.
        "ABOUT": json.dumps(about, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c"),
        "DATA": data,
        "LIBRARY": _built("library.js"),
        "SCRIPT": _built("page.js"),
    }
    page = _built("page.html")
    pieces = page.split("@@")
    return "".join(parts[piece] if at % 2 else piece for at, piece in enumerate(pieces))


def _built(name: str) -> str:
    return (files("dnw_graph.view") / "built" / name).read_text(encoding="utf-8")
