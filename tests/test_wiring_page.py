"""The numbers of docs/wiring.md are those of the wirings that lie beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dnw_graph as dg
from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.report import Report

DOCS = Path(__file__).parents[1] / "docs"
RUNS = DOCS / "results" / "fashion_mnist_tiny"
SEEDS = [str(RUNS / f"dnw-s{seed}" / "wiring.npz") for seed in (0, 1)]
PAGE = (DOCS / "wiring.md").read_text(encoding="utf-8")
MEASURES = ("statuses", "degrees", "paths", "densities", "spans", "hubs", "overlap")


@pytest.fixture(scope="module")
def report() -> Report:
    return dg.analysis.analyze(SEEDS, measures=MEASURES)


def pick(report: Report, measure: str, quantity: str, place: Place = WHOLE) -> list:
    """The rows of one number, in the order of the seeds."""
    wanted = (measure, quantity, place)
    return [row for row in report.rows if (row.measure, row.quantity, row.place) == wanted]


def row_of(name: str) -> list[str]:
    """Cells of the line of a table whose first cell begins so."""
    (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {name}"))
    return [cell.strip() for cell in line.strip("| ").split("|")]


@pytest.mark.parametrize(
    ("name", "measure", "quantity", "place", "learned", "random"),
    [
        ("density from the stem", "densities", "density", Place(level=0, to_level=1), ".1%", ".1%"),
        ("edges that skip levels | 38.1", "spans", "skipping_share", WHOLE, ".1%", ".1%"),
        ("nodes with more incoming", "hubs", "in_hubs", WHOLE, ",", ".0f"),
        ("the same for outgoing", "hubs", "out_hubs", WHOLE, ",", ".0f"),
        ("share of the edge ends", "hubs", "top_10_percent_share", WHOLE, ".1%", ".1%"),
        ("correlation of in-", "degrees", "in_out_correlation", Place(level=2), ".2f", ".2f"),
        ("paths from stem", "paths", "paths", WHOLE, ",", ",.0f"),
        ("dead nodes | 35, 30", "statuses", "dead", WHOLE, ",", ".0f"),
        ("constant nodes", "statuses", "constant", WHOLE, ",", ".1f"),
    ],
)
def test_the_first_table(report, name, measure, quantity, place, learned, random):
    """learned, random: formats of their numbers"""
    rows = pick(report, measure, quantity, place)
    spread = rows[0].random
    parts = [format(part, random) for part in ((spread.mean, spread.sd) if spread.sd else (spread.mean,))]
    assert [cell.replace(" %", "%") for cell in row_of(name)[1:]] == [
        ", ".join(format(row.value, learned) for row in rows),
        " ± ".join([*(part.removesuffix("%") for part in parts[:-1]), parts[-1]]),
    ]


def test_where_the_edges_go(report):
    for level, name in enumerate(("level 0 (stem)", "level 1 ", "level 2 ", "level 3 ", "level 4 ")):
        cells = row_of(name)[1:]
        for to_level, cell in enumerate(cells, 1):
            rows = pick(report, "densities", "density", Place(level=level, to_level=to_level))
            assert cell == ", ".join(f"{100 * row.value:.1f}" for row in rows)


def test_the_overlap(report):
    (common,) = pick(report, "overlap", "common")
    (given,) = pick(report, "overlap", "common_by_density")
    by_chance, by_density = (f"{row.random.mean:,.0f} ± {row.random.sd:.0f}" for row in (common, given))
    assert row_of("edges that seeds 0 and 1")[1:] == [
        f"{common.value:,}",
        f"{by_chance} by chance; {by_density} with these densities",
    ]


def test_what_densities_explain_of_the_paths():
    report = dg.analysis.analyze(SEEDS, measures=["paths"], random=RandomGraphs(keep="pairs"))
    text = " ".join(PAGE.split())
    for row in pick(report, "paths", "paths"):
        assert f"{row.random.mean:,.0f} ± {row.random.sd:,.0f}" in text


def test_the_epochs_of_seed_0():
    """The table over epochs, from the stored wirings."""
    layout = dg.analysis.wiring_of(SEEDS[0]).layout
    stored = dg.analysis.stored_wirings(RUNS / "dnw-s0", layout)
    turnover = dg.analysis.turnover_of(stored)
    then = [dg.analysis.wiring_from_ids(layout, ids) for ids in stored.ids]
    assert row_of("edges new in the wiring")[2:] == [f"{n:,}" for n in turnover.entered]
    assert row_of("of these, in an earlier")[2:] == [f"{n:,}" for n in turnover.returned]
    assert row_of("edges left of the first")[1:] == ["32,000", *(f"{n:,}" for n in turnover.remaining)]
    paths = [dg.analysis.paths_of(each).total for each in then]
    assert row_of("million paths")[1:] == [f"{n / 1e6:,.0f}" for n in paths]
    skipping = [100 * np.mean(dg.analysis.spans_of(each) > 1) for each in then]
    assert row_of("edges that skip levels | 48.6")[1:] == [f"{share:.1f} %" for share in skipping]
    assert row_of("dead nodes | 0")[1:] == [str((each.status == 0).sum()) for each in then]
