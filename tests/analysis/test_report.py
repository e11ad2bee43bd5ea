"""The report: sources, rows with random graphs beside, tables, files."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dnw_graph as dg
from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.measures import MEASURES
from dnw_graph.analysis.paths import paths_of
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.report import analyze
from dnw_graph.analysis.source import read_source, wiring_of
from dnw_graph.analysis.tables import heading_of, tables_of
from dnw_graph.analysis.write import COLUMNS, write_report
from dnw_graph.errors import InputError
from dnw_graph.interchange.extract import graph_of
from dnw_graph.portable.part import part_of

ROOT = Path(__file__).parents[2]


@pytest.fixture
def nine_file(tmp_path, nine_nodes) -> Path:
    path = tmp_path / "nine.npz"
    dg.save_graph(nine_nodes, path)
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory, make_run) -> tuple[Path, Path]:
    """Two runs with 300 edges; in the first, epoch 1 has lost an edge."""
    folder = tmp_path_factory.mktemp("runs")
    one = make_run(folder / "a", seed=0)
    first = wiring_of(one).id.tolist()
    return make_run(folder / "a1", seed=0, stored=[first[1:]]), make_run(folder / "b", seed=1)


def find(report, measure, quantity, place=WHOLE, wiring=None):
    (row,) = (
        row
        for row in report.rows
        if (row.measure, row.quantity, row.place) == (measure, quantity, place)
        and wiring in (None, row.wiring)
    )
    return row


def test_a_model_a_graph_and_a_file_are_the_same_wiring(nine_nodes, nine_file):
    model, graph, file = wiring_of(nine_nodes), wiring_of(dg.load_graph(nine_file)), wiring_of(nine_file)
    for other in (graph, file):
        for name in ("source", "target", "id", "stage", "weight", "read", "status"):
            assert getattr(model, name).tolist() == getattr(other, name).tolist()
    assert model.source.tolist() == [0, 0, 2, 3, 4, 5, 5]
    assert model.weight.tolist() == [2, 0.5, -1, 3, 1, 2, -2]
    assert model.status.tolist() == [2, 0, 2, 1, 2, 1, 2, 1, 1]


def test_outputs_that_are_not_read_are_known_from_a_file(tmp_path, nine_nodes, monkeypatch):
    """The two live paths end in node 6, which no class reads."""
    monkeypatch.setattr(nine_nodes, "outputs_read", lambda: np.array([False, True, True]))
    dg.save_graph(nine_nodes, tmp_path / "read.npz")
    wiring = wiring_of(tmp_path / "read.npz")
    assert wiring.read.tolist() == [False, True, True]
    assert paths_of(wiring).total == 0


def test_a_part_is_analyzed_as_it_is(tmp_path, nine_nodes):
    """Without the dead node 1 all numbers stay; without weak edges 0→4 is gone, and one path is left."""
    graph = graph_of(nine_nodes)
    alive, strong = tmp_path / "alive.npz", tmp_path / "strong.npz"
    dg.save_graph(part_of(graph, without_dead=True), alive)
    dg.save_graph(part_of(graph, threshold=1.0), strong)
    whole = wiring_of(nine_nodes)
    for name in ("source", "target", "id", "weight", "read", "status"):
        assert getattr(wiring_of(alive), name).tolist() == getattr(whole, name).tolist()
    report = analyze([strong], measures=["paths"])
    assert find(report, "paths", "paths").value == 1
    assert report.notes == (f"{strong}: all numbers are of the part that was exported (threshold 1.0)",)


def test_a_stage_is_refused(nine_nodes):
    with pytest.raises(InputError, match="holds stage 1 only"):
        wiring_of(part_of(graph_of(nine_nodes), stage=1))


@pytest.mark.parametrize("suffix", [".graphml", ".json", ".csv"])
def test_every_format_gives_the_same_numbers(tmp_path, nine_nodes, suffix):
    dg.save_graph(nine_nodes, tmp_path / f"nine{suffix}")
    file, model = wiring_of(tmp_path / f"nine{suffix}"), wiring_of(nine_nodes)
    assert file.id.tolist() == model.id.tolist()
    assert file.weight.tolist() == model.weight.tolist()
    assert file.status.tolist() == model.status.tolist()


def test_a_run_and_its_checkpoint_are_the_same(runs):
    run, checkpoint = read_source(runs[0]), read_source(runs[0] / "checkpoints" / "last")
    assert run.wiring.id.tolist() == checkpoint.wiring.id.tolist()
    assert run.stored.epochs == checkpoint.stored.epochs == (0, 1)
    assert (run.network, run.rule) == ("tiny_static", "top_k")


def test_numbers_stand_beside_those_of_random_graphs(nine_file):
    report = analyze([nine_file], random=RandomGraphs(20))
    paths = find(report, "paths", "paths")
    assert paths.value == 2
    assert paths.random.draws == 20
    drawn = [paths_of(each).total for each in RandomGraphs(20).like(wiring_of(nine_file))]
    assert paths.random.mean == pytest.approx(sum(drawn) / 20)
    assert find(report, "size", "edges").random is None
    assert find(report, "busiest", "node", Place(bin=1)).random is None
    assert find(report, "busiest", "degree", Place(bin=1)).random.mean >= 2
    assert report.notes == (
        f"{nine_file}: no turnover, for the file holds the wiring of one moment; give the run directory",
    )


def test_what_a_random_graph_counts_and_the_wiring_lacks_is_there(nine_file):
    """No node of level 3 has three edges in the nine nodes; some of 50 random graphs have one."""
    report = analyze([nine_file], random=RandomGraphs(50), measures=["degree_distribution"])
    row = find(report, "degree_distribution", "in_nodes", Place(level=3, bin=2))
    assert row.value == 1
    assert 0 < row.random.mean < 3
    lacking = [row for row in report.rows if row.value == 0]
    assert lacking
    assert all(row.random.mean > 0 for row in lacking)


def test_two_runs(runs):
    """Both have the same random graphs; the second has no turnover, as it was never trained."""
    report = analyze(runs, random=RandomGraphs(3))
    one, two = map(str, runs)
    assert (
        find(report, "paths", "paths", wiring=one).random == find(report, "paths", "paths", wiring=two).random
    )
    assert find(report, "turnover", "left", Place(bin=1), one).value == 1
    assert not [row for row in report.rows if row.measure == "turnover" and row.wiring == two]
    overlap = find(report, "overlap", "common")
    assert (overlap.wiring, overlap.other, overlap.random.draws) == (one, two, None)
    assert overlap.random.mean == pytest.approx(300 * 300 / 264_960)
    assert report.notes == ()


def test_rows_are_in_order_and_unique(runs):
    report = analyze(runs, random=RandomGraphs(2))
    keys = [(row.wiring, row.other, row.measure, row.place, row.quantity) for row in report.rows]
    assert len(set(keys)) == len(keys)
    order = [measure.name for measure in MEASURES]
    positions = [order.index(row.measure) for row in report.rows]
    assert positions == sorted(positions)
    assert {row.measure for row in report.rows} == set(order)


def test_every_quantity_has_a_unit_and_is_finite(runs):
    units = {measure.name: measure.units for measure in MEASURES}
    for row in analyze(runs, random=RandomGraphs(2)).rows:
        assert row.unit == units[row.measure][row.quantity]
        assert math.isfinite(row.value)
        assert type(row.value) in (int, float)


def test_no_draws_no_comparison(nine_file):
    report = analyze([nine_file], random=RandomGraphs(0))
    assert all(row.random is None for row in report.rows)
    assert not any(line.is_random for table in tables_of(report) for line in table.lines)
    assert len(heading_of(report)) == 1


def test_tables_say_numbers_once(nine_file, runs):
    report = analyze([nine_file], random=RandomGraphs(5), measures=["paths", "densities"])
    paths, densities = tables_of(report)
    assert paths.columns == ("", "", "paths", "share %", "mean length")
    assert [line.cells[:3] for line in paths.lines if not line.is_random] == [
        ("length 2", "wiring", "1"),
        ("length 3", "wiring", "1"),
        ("all", "wiring", "2"),
    ]
    assert [line.cells[0] for line in densities.lines if line.cells[0]] == [
        "0 → 1",
        "0 → 2",
        "1 → 2",
        "2 → 3",
    ]
    assert {len(line.cells) for line in densities.lines} == {5}
    # The only stage is the whole.
    (size,) = tables_of(analyze(runs, random=RandomGraphs(0), measures=["size"]))
    assert [line.cells[:2] for line in size.lines] == [("all", str(runs[0])), ("", str(runs[1]))]


def test_wirings_share_the_line_of_their_random_graphs(runs):
    (table,) = tables_of(analyze(runs, random=RandomGraphs(2), measures=["hubs"]))
    last = [line.cells[:2] for line in table.lines[-3:]]
    assert last == [("all", str(runs[0])), ("", str(runs[1])), ("", "2 random")]


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_files_are_the_same_for_the_same_report(tmp_path, runs, suffix):
    first, second = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    write_report(analyze(runs, random=RandomGraphs(2)), first)
    write_report(analyze(runs, random=RandomGraphs(2)), second)
    assert first.read_bytes() == second.read_bytes()


def test_csv_and_json_hold_the_same_numbers(tmp_path, runs):
    report = analyze(runs, random=RandomGraphs(2))
    write_report(report, tmp_path / "a.csv")
    write_report(report, tmp_path / "a.json")
    with (tmp_path / "a.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    found = json.loads((tmp_path / "a.json").read_text())
    assert tuple(table[0]) == COLUMNS
    assert len(table) == len(found["rows"]) == len(report.rows)
    for cells, row, original in zip(table, found["rows"], report.rows, strict=True):
        assert {name: str(value) for name, value in row.items()} == {n: v for n, v in cells.items() if v}
        assert row["value"] == original.value
    assert found["measures"]["paths"] == {
        "title": "Paths from stem to classifier, by their number of edges",
        "bin": "length",
        "units": {"paths": "paths", "share": "share", "mean_length": "edges"},
    }
    assert (found["random"], found["version"]) == ({"draws": 2, "seed": 0, "keep": "stages"}, 1)


def test_mistakes_are_said(tmp_path, nine_file, runs):
    for arguments, options, words in (
        ([nine_file], {"measures": ["pahts"]}, "measure 'pahts' is unknown; use size, statuses"),
        ([nine_file], {"measures": ["turnover"]}, "no turnover, .* or leave out measure 'turnover'"),
        ([nine_file], {"measures": ["overlap"]}, "measure 'overlap' compares two wirings"),
        ([nine_file, runs[0]], {}, r"is of another network \(tiny_static, 900 nodes in 6 levels\) than"),
    ):
        with pytest.raises(InputError, match=words):
            analyze(arguments, **options)
    with pytest.raises(InputError, match=r"'.txt' names no format for analyses; use .csv, .json"):
        write_report(analyze([nine_file], random=RandomGraphs(0)), tmp_path / "a.txt")


def test_a_file_is_analyzed_without_torch(nine_file):
    """The parts that need it are imported where they are used."""
    code = (
        "import sys\n"
        "class Block:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'dgl', 'torchvision'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        "import dnw_graph as dg\n"
        f"print(len(dg.analysis.analyze([{str(nine_file)!r}]).rows) > 50)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr
