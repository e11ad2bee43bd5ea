"""`dnw-graph count`: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.commands.main import main
from dnw_graph.runs.run import Run

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = str(CONFIGS / "digits" / "tiny_static_random.yaml")
RANDOM = str(CONFIGS / "imagenet" / "random_x0.225.yaml")
DENSE = str(CONFIGS / "imagenet" / "mobilenet_v1_x0.25.yaml")


def lines_of(text: str) -> dict[str, list[str]]:
    """Cells of each line by its first word."""
    return {words[0]: words for words in (line.split() for line in text.splitlines()) if words}


def test_a_configuration_as_a_table(capsys):
    """Stages, total, bound and the paper's numbers, unbroken although stdout is no terminal."""
    assert main(["count", "--config", RANDOM]) == 0
    text = capsys.readouterr().out
    lines = lines_of(text)
    report = dg.count(dg.build_model(dg.load_config(RANDOM)))
    assert lines["total"][-5:] == [
        f"{value:,}"
        for value in (
            report.params,
            report.macs,
            report.flops,
            report.published_params,
            report.published_macs,
        )
    ]
    assert lines["stage_4"][3] == "79,627"
    assert lines["bound"][-1] == "56,609,973"
    assert lines["paper"] == ["paper", "1.2", "M", "55.7", "M"]
    assert "1 MAC = 2 FLOPs" in text


def test_columns_that_mean_nothing_are_left_out(capsys):
    assert main(["count", "--config", DENSE]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["published", "published"]
    assert lines[3].split() == ["part", "params", "MACs", "FLOPs", "params", "MACs"]


def test_overrides_reach_the_model(capsys):
    assert main(["count", "--json", "--config", TINY, "--set", "model.edges=1000"]) == 0
    (network,) = json.loads(capsys.readouterr().out)["networks"]
    assert network["bound"]["published_params"] == 1000 + 9 * 800 + 2258
    assert network["paper"] is None


def test_json_holds_the_numbers_of_the_table(capsys):
    assert main(["count", "--json", "--config", TINY, DENSE]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [network["name"] for network in found["networks"]] == ["tiny_static_random", "mobilenet_v1_x0.25"]
    (counts,) = found["networks"][1]["counts"]
    assert (counts["macs"], counts["flops"]) == (41_030_272, 82_060_544)
    assert sum(part["macs"] for part in counts["parts"]) == counts["macs"]
    assert "flops" in found["units"]


def test_what_removing_nodes_leaves(capsys):
    """A second table beside the first, and the same numbers as JSON; the last row is the exact count."""
    assert main(["count", "--removal", "--config", TINY]) == 0
    text = capsys.readouterr().out
    assert "tiny_static_random: what is left after removing nodes" in text
    assert main(["count", "--removal", "--json", "--config", TINY]) == 0
    (network,) = json.loads(capsys.readouterr().out)["networks"]
    rules = {row["removed"]: row for row in network["removal"]}
    assert list(rules) == ["nothing", "no outgoing edge (2019)", "dead or constant (ours)"]
    assert rules["dead or constant (ours)"]["macs"] == network["counts"][0]["macs"]
    assert all(f"{row['macs']:,}" in text for row in rules.values())
    assert main(["count", "--json", "--config", TINY]) == 0
    assert "removal" not in json.loads(capsys.readouterr().out)["networks"][0]


def test_the_micronet_score_and_its_threshold(capsys, a_run, monkeypatch):
    assert main(["count", "--micronet", "--json", "--config", "imagenet/dnw_small_x0.15"]) == 0
    (network,) = json.loads(capsys.readouterr().out)["networks"]
    scores = {(row["mask"], row["halved"]): row for row in network["micronet"]["scores"]}
    bits = network["micronet"]["bits"]
    assert bits["rectangles of 2019"] - bits["candidates"] == 12_044_288 - 6_981_632
    row = scores["candidates", True]
    assert row["score"] == pytest.approx(row["storage"] / 6.9e6 + row["operations"] / 1.17e9)
    assert network["micronet"]["eligible"] is None
    a_run("imagenet/dnw_small_x0.15")
    monkeypatch.setattr("dnw_graph.commands.count._top1", lambda run: 0.609)
    assert main(["count", "--micronet", "runs/mine"]) == 0
    assert "37,500 of 50,000 images right: not met with 30,450 (60.90%)" in capsys.readouterr().out
    assert main(["count", "--micronet", "--config", TINY]) == 2
    assert "was no task of MicroNet" in capsys.readouterr().err


def test_markdown_is_a_table(capsys):
    assert main(["count", "--markdown", "--config", TINY]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert rows[1].startswith("| :-- | --: |")


@pytest.fixture
def a_run(monkeypatch):
    """Pretends that every RUN was made by one configuration; returns what sets it."""

    def of(path: str) -> None:
        cfg = dg.load_config(path)
        monkeypatch.setattr(
            "dnw_graph.runs.load.load_run", lambda path: Run(cfg, dg.build_model(cfg), Path(path), {})
        )

    return of


def test_a_run_is_counted_with_its_own_wiring(capsys, a_run):
    a_run(TINY)
    assert main(["count", "--json", "runs/mine"]) == 0
    (network,) = json.loads(capsys.readouterr().out)["networks"]
    assert network["counts"][0]["of"] == "run runs/mine"
    assert network["counts"][0]["macs"] == dg.count(dg.build_model(dg.load_config(TINY))).macs


def test_the_published_table(capsys, a_run):
    """Eleven networks; a bound for the wired, a drawn wiring for the random, a count for the run."""
    a_run(str(CONFIGS / "imagenet" / "dnw_x0.225.yaml"))
    assert main(["count", "--published", "--json", "runs/mine"]) == 0
    networks = json.loads(capsys.readouterr().out)["networks"]
    counted = {network["name"]: [each["of"] for each in network["counts"]] for network in networks}
    assert counted == {
        "mobilenet_v1_x0.25": ["dense"],
        "shufflenet_v2_x0.5": ["dense"],
        "random_x0.225": ["first wiring, seed 0"],
        "dnw_small_x0.15": [],
        "dnw_small_x0.225": [],
        "dnw_x0.225": ["run runs/mine"],
        "dnw_x0.3": [],
        "mobilenet_v1_x0.5": ["dense"],
        "shufflenet_v2_x1": ["dense"],
        "random_x0.49": ["first wiring, seed 0"],
        "dnw_x0.49": [],
    }
    bounds = {network["name"]: network["bound"] for network in networks if network["bound"]}
    assert {name: f"{limit['published_macs'] / 1e6:.2f}" for name, limit in bounds.items()} == {
        "random_x0.225": "56.61",
        "dnw_small_x0.15": "40.57",
        "dnw_small_x0.225": "55.82",
        "dnw_x0.225": "56.61",
        "dnw_x0.3": "77.85",
        "random_x0.49": "169.62",
        "dnw_x0.49": "158.83",
    }


def test_every_published_network_has_its_configuration():
    """The table builds its networks from its own rows, which say what configs/imagenet says."""
    from dnw_graph.accounting import paper

    files = {path.stem: dg.load_config(path) for path in sorted((CONFIGS / "imagenet").glob("*.yaml"))}
    assert {name: paper.find(cfg.model).name for name, cfg in files.items()} == {name: name for name in files}
    assert {row.name for row in paper.IMAGENET} == set(files)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "nothing to count"),
        (["--published", "--config", TINY], "--published takes no --config"),
        (["--published", "--removal"], "--published has no room for --removal"),
        (["--removal", "--config", DENSE], "is a dense network, of which no node can be removed"),
        (["runs/mine", "--set", "model.width=0.3"], "--set changes a configuration"),
        (["--json", "--markdown", "--config", TINY], "not allowed with"),
        (["--config", "nowhere.yaml"], "nowhere.yaml"),
        (["nowhere"], "nowhere"),
    ],
)
def test_refusals_are_one_line(capsys, arguments, what):
    assert main(["count", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert what in err
    assert err.count("\n") == 1


def test_a_run_outside_the_published_table_is_named(capsys, a_run):
    a_run(TINY)
    assert main(["count", "--published", "runs/mine"]) == 2
    assert "runs/mine: is not in the published table" in capsys.readouterr().err
