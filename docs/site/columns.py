"""Docstrings as Markdown: their aligned columns of names and meanings become lists."""

from __future__ import annotations

import re

_ENTRY = re.compile(r"(\S(?:\S| (?! ))*)  +(\S.*)")


def as_markdown(text: str) -> str:
    """Lines `name   meaning` as a list; sentences on errors and sources as paragraphs of their own."""
    lines: list[str] = []
    in_list = False
    for line in text.splitlines():
        entry = _ENTRY.fullmatch(line)
        if entry:
            if not in_list:
                lines.append("")
            names = ", ".join(f"`{name}`" for name in entry[1].split(", "))
            lines.append(f"- {names}: {entry[2]}")
            in_list = True
        elif in_list and line.startswith("  "):
            lines.append(f"    {line.strip()}")
        else:
            if line and (in_list or line.startswith(("Raises ", "Source: "))):
                lines.append("")
            lines.append(line)
            in_list = False
    return "\n".join(lines)
