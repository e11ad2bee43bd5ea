"""How many edges a configuration asks for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.graph.budget import edges_for_density, edges_for_width, stage_budget
from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.models.mobilenet_v1 import PUBLISHED_BLOCKS, mobilenet_v1

IMAGENET = Path(__file__).parents[2] / "configs" / "imagenet"
CONFIGS = {
    "random_x225": "random_x0.225",
    "random_x49": "random_x0.49",
    "dnw_x225": "dnw_x0.225",
    "dnw_x3": "dnw_x0.3",
    "dnw_x49": "dnw_x0.49",
    "small_x15": "dnw_small_x0.15",
    "small_x225": "dnw_small_x0.225",
}
(SMALL_STAGE,) = chain_of_stages([(2, 2, 1, 2)]).stages  # 12 candidates, 8 dense edges


def test_budgets_of_all_seven_published_configurations(golden_folder):
    recorded = json.loads((golden_folder / "edge_budgets.json").read_text())["configs"]
    assert len(recorded) == 7
    stages = chain_of_stages(PUBLISHED_BLOCKS).stages
    for entry in recorded:
        cfg = dg.load_config(IMAGENET / f"{CONFIGS[entry['config']]}.yaml")
        budgets = [stage_budget(stage, width=cfg.model.width) for stage in stages]
        assert budgets == [block["kept"] for block in entry["blocks"]], entry["config"]
        if entry["small"]:
            assert edges_for_density(cfg.model.width, 1024 * 1000) == entry["linear"]["kept"]


def test_width_is_read_as_the_decimal_that_was_written():
    """0.55² · 10,000 = 3025 exactly; in binary floating point it is 3025.0000000000005."""
    assert edges_for_width(0.55, 10_000) == 3025
    assert edges_for_width("0.55", 10_000) == 3025
    assert 0.55 * 0.55 * 10_000 > 3025


def test_density_is_read_as_the_decimal_that_was_written():
    """0.07 · 100 = 7 exactly; in binary floating point it is 7.000000000000001."""
    assert edges_for_density(0.07, 100) == 7
    assert 0.07 * 100 > 7


def test_a_part_of_an_edge_counts_as_one():
    assert edges_for_width(0.5, 9) == 3
    assert edges_for_density(0.34, 100) == 34
    assert edges_for_density(0.341, 100) == 35


def test_small_classifier_keeps_width_times_pairs():
    model = mobilenet_v1(
        rule="random", num_classes=7, image_size=32, width=0.5, small=True, blocks=((2, 3, 1, 1),)
    )
    assert model.wirings()["head"].numel() == 11  # ceil(0.5 · 3 · 7)


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (
            {"width": 1.7},
            "model.width 1.7 asks for 24 edges of stage 0, which has 12 candidates; use at most 1.224",
        ),
        (
            {"edges": 13},
            "model.edges 13 asks for 13 edges of stage 0, which has 12 candidates; use at most 12",
        ),
        (
            {"density": 1.5},
            "model.density 1.5 asks for 18 edges of stage 0, which has 12 candidates; use at most 1",
        ),
        ({"edges": 0}, "model.edges 0 asks for 0 edges of stage 0; a wiring needs at least one"),
        ({}, "the model has no edge budget; give model.width, model.edges or model.density"),
    ],
)
def test_impossible_budget_is_one_sentence(budget, sentence):
    with pytest.raises(InputError) as caught:
        stage_budget(SMALL_STAGE, **budget)
    assert str(caught.value) == sentence


def test_the_advised_width_fits():
    assert stage_budget(SMALL_STAGE, width=1.224) == 12


def test_a_config_with_an_impossible_budget_is_refused_when_the_model_is_built():
    cfg = dg.load_config(IMAGENET / "dnw_x0.225.yaml", overrides=["model.width=1.7"])
    with pytest.raises(InputError, match=r"model\.width 1\.7 asks for .* use at most"):
        dg.build_model(cfg)
