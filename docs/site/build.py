"""Build the documentation site in build/site: docs/, README.md and its like, and the API reference.

    python docs/site/build.py

Every warning is an error. Links to files that are no part of the site become text.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
STAGE = ROOT / "build" / "docs"

PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Pages outside docs/ → their names on the site."""

SHOWN = {".md", ".png", ".svg", ".gif"}
_CODE = re.compile(r"^```.*?^```", flags=re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|`[^`]*`)*)\]\(([^()\s]+)\)")


def main() -> int:
    """Returns the exit code of the build."""
    shutil.rmtree(STAGE, ignore_errors=True)
    places = _places()
    for source, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            place.write_text(with_links(source.read_text(encoding="utf-8"), source, places), encoding="utf-8")
        elif source.suffix == ".ipynb":
            text = page_of(json.loads(source.read_text(encoding="utf-8")), place)
            place.write_text(with_links(text, source, places), encoding="utf-8")
        else:
            shutil.copyfile(source, place)
    (STAGE / "api.md").write_text(reference(), encoding="utf-8")
    # Its handler imports the extension that reads our docstrings.
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def _places() -> dict[Path, Path]:
    """Every file of the site → where it is put."""
    docs = ROOT / "docs"
    found = {ROOT / name: STAGE / place for name, place in PAGES.items()}
    for path in sorted(docs.rglob("*")):
        if path.suffix in SHOWN:
            found[path] = STAGE / path.relative_to(docs)
        elif path.suffix == ".ipynb":
            found[path] = STAGE / path.relative_to(docs).with_suffix(".md")
    return found


def with_links(text: str, source: Path, places: dict[Path, Path]) -> str:
    """A page's text with links that are right on the site; other relative ones lose their target."""

    def link(found: re.Match[str]) -> str:
        image, words, target = found.groups()
        path, hash_, anchor = target.partition("#")
        if not path or re.match(r"[a-z]+:", target):
            return found[0]
        there = (source.parent / path).resolve()
        if there.is_dir():
            there /= "README.md"
        if there not in places:
            return words
        relative = os.path.relpath(places[there], places[source].parent)
        return f"{image}[{words}]({Path(relative).as_posix()}{hash_}{anchor})"

    parts, end = [], 0
    for code in _CODE.finditer(text):
        parts += [_LINK.sub(link, text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, _LINK.sub(link, text[end:])])


def page_of(notebook: dict[str, Any], place: Path) -> str:
    """A notebook as Markdown, with what it printed; its pictures are written beside the page."""
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                picture = place.with_name(f"{place.stem}-{len(parts)}.png")
                picture.write_bytes(b64decode(data["image/png"]))
                parts.append(f"![what the cell above draws]({picture.name})")
            elif words := "".join(output.get("text") or data.get("text/plain", ())):
                parts.append(f"```text\n{words.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def reference() -> str:
    """A page with the docstring of every public name, in the order of their names."""
    sys.path.insert(0, str(ROOT))
    import dnw_graph

    parts = [
        "# API reference",
        "Everything that `import dnw_graph as dg` gives. Other names may change without notice.",
    ]
    for name in sorted(dnw_graph.__all__, key=str.lower):
        value = getattr(dnw_graph, name)
        if isinstance(value, type(sys)):
            parts.append(f"## dg.{name}")
            inner = sorted(value.__all__, key=str.lower)
            parts += [_directive(getattr(value, each), f"dg.{name}.{each}", 3) for each in inner]
        else:
            parts.append(_directive(value, f"dg.{name}", 2))
    return "\n\n".join(parts) + "\n"


def _directive(value: Any, heading: str, level: int) -> str:
    return (
        f"::: {value.__module__}.{value.__qualname__}\n"
        f"    options:\n      heading: {heading}\n      toc_label: {heading}\n      heading_level: {level}"
    )


if __name__ == "__main__":
    sys.exit(main())
