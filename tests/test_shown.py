"""What objects say of themselves: a few lines, and a table in notebooks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.interchange.extract import graph_of
from dnw_graph.shown import Shown, brief, counted, listed


@dataclass(repr=False)
class Thing(Shown):
    name: str
    numbers: object


def test_a_record_shows_its_fields():
    thing = Thing("a <b>", np.arange(5))
    assert repr(thing) == str(thing) == "Thing\n  name     a <b>\n  numbers  int64 [5], 0 to 4"
    assert '<td style="text-align:left">a &lt;b&gt;</td>' in thing._repr_html_()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([True, False]), "bool [2], 1 true"),
        (np.zeros((0, 3)), "float64 [0, 3]"),
        (np.array(["a"]), "<U1 [1]"),
        (torch.zeros(2, 3), "float32 [2, 3]"),
        (1234567, "1,234,567"),
        (True, "True"),
        (0.1 + 0.2, "0.3"),
        ([1, 2], "1, 2"),
        (tuple(range(100)), "100 entries: 0, 1, 2, …"),
        ({"edges": 32000}, "edges 32,000"),
        ("two\nlines", "two lines"),
        ("x" * 200, "x" * 99 + "…"),
        (Thing("a", 1), "Thing"),
    ],
)
def test_values_are_cut_short(value, text):
    assert brief(value) == text


def test_numbers_and_lists_in_words():
    assert [counted(each, "edge") for each in (0, 1, 1200)] == ["0 edges", "1 edge", "1,200 edges"]
    assert listed(list("abc")) == "a, b, c"
    assert listed(list("abcdefg")) == "a, b, c, d, e, … (7 in all)"


@pytest.fixture(scope="module")
def large():
    return dg.build_model(dg.load_config("imagenet/random_x0.225"))


def test_what_stands_for_a_large_network_is_a_few_lines(large, small_run):
    """The network of ImageNet, and a run: graph, count, compiled network, configuration, analyses."""
    analysis = dg.analysis
    wiring = analysis.wiring_of(large)
    report = analysis.analyze([small_run], random=analysis.RandomGraphs(draws=1))
    stored = analysis.stored_wirings(small_run, report.sources[0].wiring.layout)
    shown = {
        "Graph: 5,984 nodes, ": graph_of(large),
        "Count of mobilenet_v1, 224×224 pixels, 1,000 classes": dg.count(large),
        "CompiledNetwork": dg.compile(large),
        "Config: mobilenet_v1 on imagenet": dg.load_config("imagenet/random_x0.225"),
        "Wiring": wiring,
        "Analysis of 1 wiring": report,
        "StoredWirings": stored,
        "Turnover": analysis.turnover_of(stored),
        "Degrees": analysis.degrees_of(wiring),
        "Densities": analysis.densities_of(wiring),
        "Hubs": analysis.hubs_of(wiring),
        "Paths": analysis.paths_of(report.sources[0].wiring),
        "Communities": analysis.communities_of(wiring, 0),
    }
    for title, each in shown.items():
        lines = repr(each).splitlines()
        assert lines[0].startswith(title), lines[0]
        assert len(lines) <= 12
        assert max(map(len, lines)) <= 180
        assert each._repr_html_().startswith(f"<p><b>{title}")
    assert f"  total      {dg.count(large).params:,} parameters, {dg.count(large).macs:,} MACs" in repr(
        dg.count(large)
    )


def test_a_configuration_shows_what_is_not_as_by_default():
    assert repr(dg.load_config("digits/tiny_static_dnw", ["optimizer.lr=0.05"])).splitlines() == [
        "Config: tiny_static on digits",
        "  model      network tiny_static, edges 32,000, image_size 32, num_classes 10",
        "  data       dataset digits",
        "  optimizer  lr 0.05",
        "  training   epochs 16, batch_size 64, threads 1",
    ]


def test_a_graph_of_ones_own_may_be_wrong_and_still_shows_itself():
    assert repr(dg.Graph(None, None)).startswith("Graph: 0 nodes, 0 edges, of unknown, rule unknown")
