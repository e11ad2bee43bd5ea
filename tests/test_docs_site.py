"""The documentation site: links, notebooks and docstrings on its pages, and every page in its menu."""

from __future__ import annotations

import base64
import importlib.util
import re
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_site_{name}", ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build, columns = load("build"), load("columns")


def test_links_lead_to_the_places_on_the_site():
    source, places = ROOT / "README.md", build._places()
    text = "[a](docs/graph.md#words) [b](CONTRIBUTING.md) [c](docs/results/) [`d`](benchmarks/gpu.py) [e](#x)"
    assert build.with_links(text, source, places) == (
        "[a](graph.md#words) [b](contributing.md) [c](results/README.md) `d` [e](#x)"
    )
    code = "```\n[a](docs/graph.md)\n```"
    assert build.with_links(code, source, places) == code
    page = ROOT / "docs" / "results" / "README.md"
    assert build.with_links("![x](../figures/levels.png)", page, places) == "![x](../figures/levels.png)"


def test_a_notebook_becomes_a_page_with_what_it_printed(tmp_path):
    picture = base64.b64encode(b"png").decode()
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Words."]},
        {
            "cell_type": "code",
            "source": ["print(1)"],
            "outputs": [{"output_type": "stream", "text": ["1\n"]}, {"data": {"image/png": picture}}],
        },
    ]
    page = build.page_of({"cells": cells}, tmp_path / "n.md")
    assert page.startswith("# Title\nWords.\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n\n![")
    (name,) = re.findall(r"\]\((.*)\)", page)
    assert (tmp_path / name).read_bytes() == b"png"


def test_columns_of_a_docstring_become_a_list():
    docstring = """Add.

a, b   numbers, or
       texts
total  what they are compared with
Raises ValueError if they differ.
"""
    assert columns.as_markdown(docstring).splitlines() == [
        "Add.",
        "",
        "",
        "- `a`, `b`: numbers, or",
        "    texts",
        "- `total`: what they are compared with",
        "",
        "Raises ValueError if they differ.",
    ]


def test_every_page_is_in_the_menu():
    menu = set(re.findall(r'"([\w/]+\.md)"', (ROOT / "zensical.toml").read_text(encoding="utf-8")))
    pages = {path.relative_to(build.STAGE).as_posix() for path in build._places().values()}
    assert {page for page in pages if page.endswith(".md")} | {"api.md"} == menu
