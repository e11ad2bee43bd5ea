"""The 2019 program's counts, against golden data made by that program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dnw_graph.accounting.published import (
    Alive,
    float_budget,
    profile,
    prune_rate,
    rectangles,
    tiny,
)
from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.models.mobilenet_v1 import PUBLISHED_BLOCKS

GOLDEN = Path(__file__).parents[1] / "golden"
BLOCKS = rectangles(chain_of_stages(PUBLISHED_BLOCKS))


def golden(name: str) -> dict:
    return json.loads((GOLDEN / f"{name}.json").read_text())


@pytest.mark.parametrize(
    ("width", "rate"), [(0.225, 0.775), (0.15, 0.85), (0.3, 0.7), (0.51, 0.49), (0.49, 0.51)]
)
def test_prune_rate_is_exact_in_decimals(width, rate):
    assert prune_rate(width) == rate


@pytest.mark.parametrize("config", golden("edge_budgets")["configs"], ids=lambda config: config["config"])
def test_float_budgets_to_the_last_bit(config):
    budgets = [float_budget(block, config["prune_rate"]) for block in BLOCKS]
    assert budgets == [float(block["profiled_edges"]) for block in config["blocks"]]


@pytest.mark.parametrize("case", ["dnw_x225", "random_x225", "small_x15", "small_x15_liveout"])
def test_profile_of_a_wiring(case):
    data = golden(case)
    blocks, expected = data["blocks"], data["profile"]
    assert [(b["inp"], b["oup"], b["inner_blocks"]) for b in blocks] == [
        (b.inputs, b.width, b.groups) for b in BLOCKS
    ]
    alive = Alive(
        sources=tuple(block["sources_with_output"] for block in blocks),
        stem=blocks[0]["input_sources_with_output"],
        outputs=blocks[-1]["output_targets_with_input"],
    )
    found = profile(BLOCKS, data["prune_rate"], data["output_size"], small=data["small"], alive=alive)
    assert [(stage.params, stage.macs) for stage in found.stages] == [
        (block["params"], block["macs"]) for block in expected["per_block"]
    ]
    assert (found.params, found.macs) == (expected["params"], expected["macs"])


@pytest.mark.parametrize(
    ("width", "small", "params", "macs"),
    [
        (0.225, False, "1.2284", "56.61"),
        (0.15, True, "0.2697", "40.57"),
        (0.225, True, "0.4348", "55.82"),
        (0.3, False, "1.3521", "77.85"),
        (0.51, False, "1.8861", "169.62"),
        (0.49, False, "1.8233", "158.83"),
    ],
)
def test_bound_with_every_node_alive(width, small, params, macs):
    bound = profile(BLOCKS, prune_rate(width), 1000, small=small)
    assert (f"{bound.params / 1e6:.4f}", f"{bound.macs / 1e6:.2f}") == (params, macs)


def test_two_dead_stem_channels_make_the_published_random_network():
    alive = Alive(tuple(b.sources - 2 * (i == 0) for i, b in enumerate(BLOCKS)), stem=30, outputs=1024)
    found = profile(BLOCKS, 0.775, 1000, alive=alive)
    assert f"{found.macs / 1e6:.2f}" == "55.71"
    assert profile(BLOCKS, 0.775, 1000).macs - found.macs == 2 * (27 + 9) * 112 * 112


def test_small_classifier_is_truncated_in_float():
    assert profile(BLOCKS, 0.775, 1000, small=True).head.params == 230399


def test_parts_add_up():
    found = profile(BLOCKS, 0.775, 1000)
    parts = (found.stem, *found.stages, found.head)
    assert sum(part.params for part in parts) == found.params
    assert sum(part.macs for part in parts) == found.macs


def test_tiny_is_41k():
    data = golden("tiny_static_dnw")
    assert tiny(32000).params == data["params"]["all_live_total_without_instance_norm"] == 41458
    assert tiny(32000).macs is None
