"""The README as a package index shows it: no link of it leads nowhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = """[kernels](docs/native.md), [docs/gpu.md](docs/gpu.md), [![a wiring](docs/a.png)](https://a.b/c),
[below](#train) and [there](https://a.b/c#d)
"""


@pytest.fixture
def metadata(tmp_path: Path):
    """metadata(readme, urls) → what an index is told of a package with that README."""

    def build(readme: str, urls: str = "") -> Message:
        shutil.copy(ROOT / "setup.py", tmp_path)
        (tmp_path / "dnw_graph").mkdir()
        shutil.copy(ROOT / "dnw_graph" / "__init__.py", tmp_path / "dnw_graph")
        shutil.copy(ROOT / "LICENSE", tmp_path)
        (tmp_path / "README.md").write_text(readme, encoding="utf-8")
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        project = re.sub(r"^\[project\.urls\]\n(.+\n)*", "", project, flags=re.MULTILINE)
        (tmp_path / "pyproject.toml").write_text(project + urls, encoding="utf-8")
        subprocess.run([sys.executable, "setup.py", "-q", "egg_info"], cwd=tmp_path, check=True)
        return Parser().parsestr((tmp_path / "dnw_graph.egg-info" / "PKG-INFO").read_text(encoding="utf-8"))

    return build


def test_without_a_public_address_relative_links_are_text(metadata) -> None:
    assert metadata(README).get_payload() == (
        "kernels (docs/native.md), docs/gpu.md, [a wiring](https://a.b/c),\n"
        "[below](#train) and [there](https://a.b/c#d)\n"
    )


def test_with_one_they_lead_there(metadata) -> None:
    found = metadata(README, '\n[project.urls]\nRepository = "https://host/dnw/"\n')
    assert found["Project-URL"] == "Repository, https://host/dnw/"
    assert found.get_payload() == (
        "[kernels](https://host/dnw/blob/HEAD/docs/native.md), "
        "[docs/gpu.md](https://host/dnw/blob/HEAD/docs/gpu.md), "
        "[![a wiring](https://host/dnw/raw/HEAD/docs/a.png)](https://a.b/c),\n"
        "[below](#train) and [there](https://a.b/c#d)\n"
    )


def test_the_readme_itself_has_no_relative_link_left(metadata) -> None:
    found = metadata((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found["Description-Content-Type"] == "text/markdown"
    links = re.findall(r"\]\(([^()\s]+)\)", found.get_payload())
    assert links
    assert [link for link in links if not re.match(r"https?:|#", link)] == []
