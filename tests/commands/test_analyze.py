"""`dnw-graph analyze`: what it prints and writes, and what it refuses in one sentence."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.commands.main import main
from dnw_graph.config import config_from_dict
from dnw_graph.runs.checkpoint import write_checkpoint
from dnw_graph.training.adopt import adopt

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of the tiny network with 300 edges, not trained yet."""
    model = {"network": "tiny_static", "edges": 300, "image_size": 32, "num_classes": 10}
    training = {"epochs": 1, "batch_size": 64, "device": "cpu"}
    cfg = config_from_dict({"model": model, "data": {"dataset": "digits"}, "training": training})
    return adopt(cfg, dg.build_model(cfg), tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="module")
def dense_run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "dense"
    cfg = dg.load_config(ROOT / "configs" / "imagenet" / "mobilenet_v1_x0.25.yaml")
    model = dg.build_model(cfg)
    state = {"config": cfg.model_dump(mode="json", exclude_none=True), "plugins": [], "evaluated": "model"}
    write_checkpoint(path / "checkpoints" / "best", {"model": model.state_dict()}, state)
    return path


@pytest.fixture
def nine_file(tmp_path, nine_nodes) -> Path:
    dg.save_graph(nine_nodes, tmp_path / "nine.npz")
    return tmp_path / "nine.npz"


def test_a_run_is_printed_whole(run, capsys):
    """Every table, no line broken although stdout is no terminal."""
    assert main(["analyze", str(run), "--draws", "2", "--all"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    lines = out.splitlines()
    assert lines[0] == f"{run}: tiny_static, rule top_k"
    assert "2 graphs with as many edges in each stage" in lines[1]
    for title in (
        "Summary",
        "Size",
        "Status",
        "Degrees",
        "Paths",
        "Densities",
        "Spans",
        "Hubs",
        "Busiest",
        "Communities",
    ):
        assert any(line.startswith(title) for line in lines)
    (size,) = (line.split() for line in lines if line.strip().startswith("all") and "264,960" in line)
    assert size == ["all", "wiring", "900", "300", "264,960", "0.113"]


def test_a_summary_of_nine_nodes_to_the_letter(nine_file, capsys):
    """Seven edges between 9 nodes, 4 live; 6 edges climb one level and one climbs two."""
    assert main(["analyze", "--draws", "0", str(nine_file)]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]
    assert lines == [
        f"{nine_file}: mobilenet_v1, rule top_k",
        "Summary",
        "wiring",
        "nodes 9",
        "nodes on a path from stem to classifier (live) 4",
        "edges 7",
        "candidate edges 18",
        "edges between live nodes, % 57.14",
        "edges that skip a level, % 14.29",
        "paths from stem to classifier 2",
        "their mean length, in edges 2.50",
        "nodes that receive more edges than chance gives 0",
        "nodes that send more edges than chance gives 0",
        "edge ends at the busiest tenth of the nodes, % 21.43",
        "All tables: add --all. All numbers, in a file: add -o FILE.csv.",
        f"{nine_file}: no turnover, for the file holds the wiring of one moment; give the run directory",
    ]


def test_a_summary_has_a_column_for_each_wiring(run, capsys):
    """They have the same random graphs, which come once, and a sentence about what they share."""
    assert main(["analyze", str(run), str(run), "--draws", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [str(run), str(run), "random"] in lines
    assert ["edges", "300", "300"] in lines
    assert any(line[-5:-3] == ["have", "300"] or "300 edges in common" in " ".join(line) for line in lines)


def test_one_measure_of_nine_nodes_to_the_letter(nine_file, capsys):
    assert main(["analyze", "--measure", "spans", "--draws", "0", str(nine_file)]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip(" ─")]
    assert [" ".join(words) for words in lines] == [
        f"{nine_file}: mobilenet_v1, rule top_k",
        "Spans: how many levels an edge climbs; over 1 it skips levels",
        "share skipping skipping",
        "edges % edges %",
        "span 1 wiring 6 85.71",
        "span 2 wiring 1 14.29",
        "all wiring 1 14.29",
    ]


def test_what_is_printed_can_be_written(run, tmp_path, capsys):
    for name in ("a.csv", "a.JSON"):
        assert main(["analyze", str(run), str(run), "--draws", "2", "-o", str(tmp_path / name)]) == 0
    capsys.readouterr()
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(json.loads((tmp_path / "a.JSON").read_text())["rows"])
    overlap = {row["quantity"]: row for row in rows if row["measure"] == "overlap" and not row["stage"]}
    assert (overlap["common"]["value"], overlap["jaccard"]["value"]) == ("300", "1.0")


def test_without_stored_wirings_there_is_no_turnover(run, tmp_path, capsys):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    shutil.rmtree(copy / "wiring")
    assert main(["analyze", str(copy), "--draws", "0", "--measure", "size", "--measure", "ages"]) == 2
    assert "has no stored wirings (wiring/epoch_*.npz)" in capsys.readouterr().err
    assert main(["analyze", str(copy), "--draws", "0"]) == 0
    assert "no turnover, for the run has no stored wirings" in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "nowhere: no such run directory"),
        (["runs/v1.2"], "runs/v1.2: no such run directory"),
        (["nowhere.npz"], "nowhere.npz: cannot be read"),
        (["README.md"], "the suffix '.md' names no format"),
        (["{dense}"], "is a dense network, which has no wiring"),
        (["{run}", "{nine}"], "is of another network (mobilenet_v1, 9 nodes in 4 levels)"),
        (["{nine}", "--measure", "turnover"], "no turnover, for the file holds the wiring of one moment"),
        (["{nine}", "--measure", "degree"], "measure 'degree' is unknown"),
        (["{nine}", "--all", "--measure", "size"], "--all prints the tables of all measures"),
        (["{nine}", "-o", "a.txt"], "a.txt: the suffix '.txt' names no format for analyses"),
        (["{nine}", "-o", "nowhere/a.csv"], "nowhere/a.csv: cannot be written"),
        (["{nine}", "--draws", "-1"], "-1 random graphs cannot be drawn"),
        (["{nine}", "--seed", "-1"], "seed -1"),
        ([], "RUN"),
    ],
)
def test_refusals_are_one_line(arguments, words, run, dense_run, nine_file, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    places = {"run": run, "dense": dense_run, "nine": nine_file}
    assert main(["analyze", *(each.format(**places) for each in arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_damaged_stored_wirings_are_refused(damage, run, tmp_path, capsys):
    copy = Path(shutil.copytree(run, tmp_path / "run"))
    path = copy / "wiring" / "epoch_0000.npz"
    path.write_bytes(path.read_bytes()[:100] if damage == "cut" else b"not a zip file")
    assert main(["analyze", str(copy)]) == 2
    assert "epoch_0000.npz: is no stored wiring" in capsys.readouterr().err


def test_the_tool_is_the_command(nine_file):
    code = [sys.executable, "tools/analyze.py", str(nine_file), "--draws", "2"]
    done = subprocess.run(code, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "paths from stem to classifier" in done.stdout
