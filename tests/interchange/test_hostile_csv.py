"""CSV that is no wiring: one sentence each. And CSV as other programs write it."""

from __future__ import annotations

from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork

# CSV: the file to change, what to replace, by what

CSV = {
    "NaN weight": ("w.csv", "0,2,2.0,0", "0,2,nan,0", "w.csv: weight of edge 0 is nan"),
    "word as weight": ("w.csv", "0,2,2.0,0", "0,2,x,0", "w.csv: weight of edge 0 is 'x', not a number"),
    "no weight": ("w.csv", "0,2,2.0,0", "0,2,,0", "w.csv: weight of edge 0 is nan"),
    "huge id": ("w.csv", "0,2,2.0,0", f"0,2,2.0,{10**25}", "w.csv: id of edge 0 is '1000"),
    "edge twice": ("w.csv", "0,4,0.5,4", "0,2,2.0,0", "w.csv: edges 0 and 1 join the same two nodes"),
    "cycle": ("w.csv", "0,4,0.5,4", "2,0,0.5,4", "w.csv: edge 1 goes from level 1 to level 0"),
    "end that is not there": ("w.csv", "0,2,", "0,99,", "w.csv: target of edge 0 is 99, which is no node"),
    "no column": ("w.csv", "weight", "wait", r"w.csv: has no column weight; .* source,target,weight,id"),
    "column twice": ("w.csv", "weight", "source", "w.csv: has more than 100 columns, or two of one name"),
    "too many columns": (
        "w.csv",
        "source",
        f"source{','.join(map(str, range(200)))}",
        "more than 100 columns",
    ),
    "cell too many": ("w.csv", "0,2,2.0,0", "0,2,2.0,0,1", "w.csv: line 2 has 5 columns instead of 4"),
    "empty line": ("w.csv", "0,2,2.0,0", "\n0,2,2.0,0", "w.csv: line 2 has 0 columns instead of 4"),
    "open quote": ("w.csv", "0,2,2.0,0", '0,2,2.0,"0', "w.csv: line 2 is no CSV .unexpected end"),
    "long line": ("w.csv", "0,2,2.0,0", "0" * 100_000, "w.csv: line 2 has more than 65536 characters"),
    "cut off": ("w.csv", "5,7,-2.0,3\n", "", "w.csv: has 6 edges, but w.graph.json says 7; it was cut off"),
    "nothing": ("w.csv", None, "", "w.csv: has no column source"),
    "nodes cut off": ("w.nodes.csv", "\n8,", "\n", r"w.nodes.csv: line 10 has 12 columns instead of 13"),
    "level": ("w.nodes.csv", "\n0,0,", "\n0,7,", "w.csv: nodes are not numbered level by level|do not run"),
    "kernel": (
        "w.nodes.csv",
        "0.0 0.0 0.0 0.0 1.0",
        "0.0",
        r"kernel of node 0 is '0\.0 .*, not nine numbers",
    ),
    "newer version": (
        "w.graph.json",
        '_version": 1',
        '_version": 2',
        "w.csv: format version 2 is newer than 1",
    ),
    "description": ("w.graph.json", None, "[1]", "w.graph.json: is no description of a graph"),
    "no description": ("w.graph.json", None, "{", "w.graph.json: it is not valid JSON"),
    "odd types": ("w.graph.json", '"types": {', '"types": 3, "t": {', "w.graph.json: is no description of a"),
}


@pytest.mark.parametrize("case", CSV)
def test_csv_is_refused_in_one_sentence(case: str, nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    name, old, new, message = CSV[case]
    dg.save_graph(nine_nodes, tmp_path / "w.csv")
    text = (tmp_path / name).read_text()
    assert old is None or old in text
    (tmp_path / name).write_text(new if old is None else text.replace(old, new, 1))
    with pytest.raises(InputError, match=message) as caught:
        dg.load_graph(tmp_path / "w.csv")
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_csv_needs_its_files_beside_it(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    dg.save_graph(nine_nodes, tmp_path / "w.csv")
    (tmp_path / "w.nodes.csv").unlink()
    with pytest.raises(
        InputError, match=r"w.csv: w.nodes.csv is missing next to it; keep the three files together"
    ):
        dg.load_graph(tmp_path / "w.csv")
    (tmp_path / "w.csv").unlink()
    with pytest.raises(InputError, match=r"w.csv: cannot be read \(No such file"):
        dg.load_graph(tmp_path / "w.csv")


def test_csv_as_spreadsheets_write_it(nine_nodes: WiredNetwork, tmp_path: Path) -> None:
    """A byte order mark, other line ends, quotes, another order of columns, one more of them."""
    dg.save_graph(nine_nodes, tmp_path / "w.csv")
    rows = [line.split(",") for line in (tmp_path / "w.csv").read_text().splitlines()]
    lines = [",".join(f'"{cell}"' for cell in [*reversed(row), "mine"]) for row in rows]
    (tmp_path / "w.csv").write_text("\ufeff" + "".join(f"{line}\r\n" for line in lines), newline="")
    assert dg.load_graph(tmp_path / "w.csv").edges["weight"].tolist() == [2, 0.5, -1, 3, 1, 2, -2]
