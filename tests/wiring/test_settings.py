"""Options of a rule: model.rule_options, checked by the rule's own class."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field

import dnw_graph as dg
from dnw_graph.config import to_yaml
from dnw_graph.errors import InputError
from dnw_graph.wiring import TopK, make_rule, register

CONFIG = Path(__file__).parents[2] / "configs" / "digits" / "tiny_static_dnw.yaml"


@pytest.fixture(autouse=True)
def _rule():
    @register("settled")
    class Settled(TopK):
        class Settings(BaseModel):
            every: int = Field(ge=1)
            fraction: float = Field(0.3, gt=0, le=1)


def test_options_are_the_settings_of_the_rule():
    settings = make_rule("settled", {"every": 7}).settings
    assert (settings.every, settings.fraction) == (7, 0.3)
    assert make_rule("top_k").settings is None


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        (
            "top_k",
            {"every": 7, "x": 1},
            "model.rule_options: rule top_k takes no options and was given every, x; leave them out",
        ),
        (
            "settled",
            {"evry": 7},
            "model.rule_options.evry is no option of rule settled; did you mean every?",
        ),
        (
            "settled",
            {"zzz": 7},
            "model.rule_options.zzz is no option of rule settled; known are every, fraction",
        ),
        ("settled", {}, "model.rule_options.every is missing; rule settled needs it"),
        (
            "settled",
            {"every": 7, "fraction": 2},
            "model.rule_options.fraction 2 is not valid for rule settled (input should be less than or "
            "equal to 1); give another value",
        ),
    ],
)
def test_wrong_options_are_one_sentence(name, options, sentence):
    with pytest.raises(InputError) as caught:
        make_rule(name, options)
    assert str(caught.value) == sentence


def test_a_configuration_gives_and_saves_options(tmp_path):
    overrides = ["model.rule=settled", "model.rule_options={every: 7}"]
    cfg = dg.load_config(CONFIG, overrides=overrides)
    assert dg.build_model(cfg).body.stages[0].rule.settings.every == 7
    saved = tmp_path / "config.yaml"
    saved.write_text(to_yaml(cfg))
    assert dg.load_config(saved) == cfg
    with pytest.raises(InputError, match=r"^model\.rule_options\.every is missing"):
        dg.build_model(dg.load_config(CONFIG, overrides=overrides[:1]))


def test_a_dense_network_has_no_rule_options():
    dense = CONFIG.parents[1] / "imagenet" / "mobilenet_v1_x0.25.yaml"
    with pytest.raises(InputError, match=r"model\.rule_options .* has no meaning for the dense network"):
        dg.load_config(dense, overrides=["model.rule_options={every: 7}"])
