"""The demo: it ends with two runs side by side, a wiring file and a picture, and overwrites nothing."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import dnw_graph as dg
from dnw_graph.analysis.wiring import Wiring
from dnw_graph.commands import demo
from dnw_graph.commands.main import main
from dnw_graph.data import digits
from dnw_graph.data.arrays import ImageArrays
from dnw_graph.graph.status import STATUS_NAMES


@pytest.fixture
def few_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough digits to go through every step, too few to learn from."""
    whole = digits.read

    def some(directory: str | None, train: bool) -> ImageArrays:
        arrays = whole(directory, train)
        return replace(arrays, images=arrays.images[:80], labels=arrays.labels[:80])

    monkeypatch.setattr(digits, "read", some)


def used_edges(wiring: Wiring) -> int:
    alive = wiring.status == STATUS_NAMES.index("live")
    return int((alive[wiring.source] & alive[wiring.target]).sum())


@pytest.mark.usefixtures("few_digits")
def test_demo_leaves_runs_wiring_and_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "demo").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "mine.txt").write_text("precious")

    assert main(["demo", "--set", "training.epochs=1", "model.edges=1500"]) == 0

    assert [each.name for each in (tmp_path / "runs" / "demo").iterdir()] == ["mine.txt"]
    place = tmp_path / "runs" / "demo-2"
    graph = dg.load_graph(place / "wiring.graphml")
    assert (graph.num_nodes, graph.num_edges) == (900, 1500)
    assert graph.attributes["class_names"] == [str(digit) for digit in range(10)]
    assert graph.attributes["preprocessing"]["size"] == 32
    assert (place / "wiring.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    learned, random = (dg.analysis.wiring_of(path) for path in (place, tmp_path / "runs" / "demo-2-random"))
    assert np.intersect1d(learned.id, random.id).size < 100
    cells = {
        line.split()[0]: line.split()
        for line in said.splitlines()
        if line.startswith((" learned", " random"))
    }
    assert [row[1] for row in cells.values()] == ["1,500", "1,500"]
    assert [row[2] for row in cells.values()] == [f"{used_edges(each):,}" for each in (learned, random)]
    for what in (
        "test accuracy",
        "runs/demo-2/wiring.graphml",
        "runs/demo-2/wiring.png",
        "tensorboard --logdir runs",
    ):
        assert what in said
    python, shell = said.split("more pictures")
    exec("\n".join(line.strip() for line in python.splitlines() if line.startswith("    ")))
    assert "900 nodes and 1500 edges" in capsys.readouterr().out
    commands = [shlex.split(line) for line in shell.splitlines() if line.startswith("    ")]
    assert [main(command[1:]) for command in commands[:-1]] == [0, 0, 0]
    assert {each.name for each in place.iterdir()} >= {"adjacency.png", "wiring.gexf"}


def test_taken_directories_are_counted_up(tmp_path: Path) -> None:
    assert demo.free_directory(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo").mkdir()
    assert demo.free_directory(tmp_path / "demo") == tmp_path / "demo"
    (tmp_path / "demo" / "x").touch()
    (tmp_path / "demo-2").touch()
    assert demo.free_directory(tmp_path / "demo") == tmp_path / "demo-3"
