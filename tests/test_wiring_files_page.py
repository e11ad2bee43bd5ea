"""The page about wiring files: its Python runs, and its tables say what is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.dependencies import load_dgl
from dnw_graph.interchange.formats import BY_NAME, READABLE
from dnw_graph.models.network import WiredNetwork
from dnw_graph.portable.schema import ATTRIBUTES, EDGE_FIELDS, NODE_FIELDS

PAGE = (Path(__file__).parents[1] / "docs" / "wiring_files.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
# What this project does not depend on.
FOREIGN = re.compile(r"import pandas")


@pytest.mark.needs_dgl
@pytest.mark.filterwarnings("ignore:unclosed file")
@pytest.mark.parametrize("block", [block for block in BLOCKS if not FOREIGN.search(block)])
def test_code_of_the_page_runs(
    block: str, nine_nodes: WiredNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_dgl()
    monkeypatch.chdir(tmp_path)
    for each in BY_NAME.values():
        dg.save_graph(nine_nodes, f"wiring{each.suffix}")
    exec(block, {"model": nine_nodes})


def test_all_blocks_but_one_are_run() -> None:
    assert len(BLOCKS) == 6
    assert len([block for block in BLOCKS if FOREIGN.search(block)]) == 1


def test_table_of_formats_is_complete() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(\.\w+)` \| [^|]* \| (\w+)", PAGE, flags=re.MULTILINE)
    read = [
        "no" if each.unread else "yes" if each.suffix in READABLE else "files" for each in BY_NAME.values()
    ]
    assert rows == [(each.name, each.suffix, said) for each, said in zip(BY_NAME.values(), read, strict=True)]


def test_every_datum_is_explained() -> None:
    start, end = PAGE.index("## What they say"), PAGE.index("## Parts")
    named = set(re.findall(r"`(\w+)`", PAGE[start:end]))
    fields = {field.name for field in (*NODE_FIELDS, *EDGE_FIELDS)}
    assert fields | ATTRIBUTES.keys() - {"part"} <= named
