"""`dnw-graph export`: files of a run, in every format, and what it says about them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import dnw_graph as dg
from dnw_graph.commands import export
from dnw_graph.commands.main import main
from dnw_graph.config import config_from_dict
from dnw_graph.interchange import Graph
from dnw_graph.interchange.formats import BY_NAME
from dnw_graph.models.network import WiredNetwork
from dnw_graph.runs import load_run
from dnw_graph.training.adopt import adopt


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run directory of a network of 900 nodes and 1,500 edges."""
    model = {"network": "tiny_static", "edges": 1500, "image_size": 32, "num_classes": 10}
    cfg = config_from_dict(
        {"model": model, "data": {"dataset": "digits"}, "training": {"epochs": 1, "batch_size": 8}}
    )
    network = dg.build_model(cfg)
    assert isinstance(network, WiredNetwork)
    return adopt(cfg, network, tmp_path_factory.mktemp("export") / "run")


def exported(run: Path, path: Path, *options: str) -> Graph:
    assert main(["export", str(run), "-o", str(path), *options]) == 0
    return dg.load_graph(path, trusted=True)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_format_is_written(
    name: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"w{BY_NAME[name].suffix}"
    assert main(["export", str(run), "--format", name, "-o", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{path}: {name}, 900 nodes, 1,500 edges\n"
    assert said.err == ""
    assert path.stat().st_size > 10_000


def test_exported_is_what_python_saves(run: Path, tmp_path: Path) -> None:
    exported(run, tmp_path / "a.graphml")
    dg.save_graph(load_run(run).model, tmp_path / "b.graphml")
    assert (tmp_path / "a.graphml").read_bytes() == (tmp_path / "b.graphml").read_bytes()


def test_options_leave_things_out(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = exported(run, tmp_path / "w.json", "--threshold", "0.03", "--without-dead", "--stage", "0")
    assert abs(graph.edges["weight"]).min() >= 0.03
    assert "dead" not in graph.nodes["status"]
    assert {"stage": 0, "threshold": 0.03, "without_dead": True}.items() <= graph.attributes["part"].items()
    assert f"{graph.num_nodes} nodes, {graph.num_edges:,} edges" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "w.txt"], "w.txt: the suffix '.txt' names no format for graphs; use .npz, .graphml"),
        (["-o", "w.npz", "--format", "csv"], "w.npz: the suffix is that of npz; for csv use .csv."),
        (["-o", "w.json", "--stage", "1"], "stage 1 is not there; this wiring has stages 0 to 0."),
        (["-o", "w.json", "--threshold", "-1"], "threshold -1.0 is no magnitude"),
        (["-o", "nowhere/w.json"], "nowhere/w.json: cannot be written (No such file or directory)"),
        (["-o", "w.json", "--format", "gml"], "--format: invalid choice: 'gml'"),
        ([], "the following arguments are required: -o/--output; see dnw-graph export --help."),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run), *arguments]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_terminal_shows_how_far_it_is(nine_nodes: WiredNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    from dnw_graph.interchange.extract import graph_of

    screen = io.StringIO()
    monkeypatch.setattr(export, "console", lambda: Console(file=screen, force_terminal=True, width=100))
    with export.progress(graph_of(nine_nodes), Path("w.gexf")) as report:
        report(9)
    assert "writing w.gexf" in screen.getvalue()
    assert "9/16" in screen.getvalue()
