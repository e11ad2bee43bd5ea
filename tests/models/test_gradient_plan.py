"""What edges outside the wiring learn from: some steps, some images, and their mean is all of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.models.stage import WiredStage
from dnw_graph.wiring import Random, TopK

CONFIG = Path(__file__).parents[2] / "configs" / "digits" / "tiny_static_dnw.yaml"


def stage(rule=None) -> WiredStage:
    (layout,) = chain_of_stages([(2, 3, 1, 1)]).stages
    return WiredStage(layout, rule or TopK(), 2, name="stage_0", seed=0)


def plans(wired: WiredStage, batch: int, steps: int) -> list[tuple[int, float]]:
    found = []
    for step in range(steps):
        wired.at_step(step)
        found.append(wired.gradient_plan(batch))
    return found


def test_by_default_every_image_of_every_step_counts_once():
    assert plans(stage(), 7, 3) == [(7, 1.0)] * 3


def test_every_third_step_counts_three_times():
    wired = stage()
    wired.thin_gradient(3, 1.0)
    assert plans(wired, 8, 5) == [(8, 3.0), (0, 1.0), (0, 1.0), (8, 3.0), (0, 1.0)]


def test_a_quarter_of_the_images_counts_four_times():
    wired = stage()
    wired.thin_gradient(1, 0.25)
    assert plans(wired, 8, 2) == [(2, 4.0)] * 2


def test_both_together_count_both_times():
    wired = stage()
    wired.thin_gradient(2, 0.5)
    assert plans(wired, 8, 3) == [(4, 4.0), (0, 1.0), (4, 4.0)]


@pytest.mark.parametrize("batch", [1, 2, 5, 7, 128, 513])
@pytest.mark.parametrize("every", [1, 2, 5])
@pytest.mark.parametrize("sample", [0.01, 0.1, 1 / 3, 0.5, 0.999, 1.0])
def test_over_its_steps_every_image_counts_once_in_the_mean(batch, every, sample):
    wired = stage()
    wired.thin_gradient(every, sample)
    found = plans(wired, batch, every)
    assert all(0 <= images <= batch for images, _ in found)
    weight = sum(images * Fraction(scale) for images, scale in found) / (batch * every)
    assert float(weight) == pytest.approx(1)


def test_a_batch_without_images_has_no_part():
    wired = stage()
    wired.thin_gradient(1, 0.5)
    assert wired.gradient_plan(0) == (0, 1.0)


def test_rewiring_tells_the_step_and_selecting_for_averaged_weights_does_not():
    wired = stage()
    wired.thin_gradient(2, 1.0)
    wired.rewire(1)
    assert wired.gradient_plan(4) == (0, 1.0)
    wired.reselect(2)
    assert wired.gradient_plan(4) == (0, 1.0)
    wired.rewire(2)
    assert wired.gradient_plan(4) == (4, 2.0)


@pytest.mark.parametrize(("every", "sample"), [(0, 1.0), (1, 0.0), (1, 1.5)])
def test_values_out_of_range_are_refused(every, sample):
    with pytest.raises(ValueError, match="must be at least 1 and sample"):
        stage().thin_gradient(every, sample)


@pytest.mark.parametrize(
    ("every", "sample", "told"),
    [(2, 1.0, "gradient.every 2"), (1, 0.5, "gradient.sample 0.5"), (3, 0.5, "gradient.every 3")],
)
def test_a_rule_that_gives_them_no_gradient_refuses_to_thin_it(every, sample, told):
    stage(Random()).thin_gradient(1, 1.0)
    with pytest.raises(InputError) as caught:
        stage(Random()).thin_gradient(every, sample)
    assert str(caught.value) == (
        f"{told} has no meaning for rule Random, which gives gradient to selected edges only; leave it out"
    )


def test_a_configuration_reaches_every_stage():
    overrides = ["gradient.every=3", "gradient.sample=0.5"]
    model = dg.build_model(dg.load_config(CONFIG, overrides=overrides))
    assert [(each.gradient_every, each.gradient_sample) for _, each in model.wired_stages()] == [(3, 0.5)]
    with pytest.raises(InputError, match=r"gradient\.every 3 has no meaning for rule Random"):
        dg.build_model(dg.load_config(CONFIG, overrides=[*overrides, "model.rule=random"]))


def test_a_rule_says_in_which_steps_edges_outside_the_wiring_see_a_gradient():
    class EverySecond(TopK):
        def sees(self, step):
            return step % 2 == 1

    wired = stage(EverySecond())
    assert plans(wired, 4, 4) == [(0, 1.0), (4, 1.0), (0, 1.0), (4, 1.0)]
    wired.thin_gradient(1, 0.5)
    assert plans(wired, 4, 2) == [(0, 1.0), (2, 2.0)]
    with pytest.raises(
        InputError, match=r"^gradient\.every 2 has no meaning for rule EverySecond, which says"
    ):
        wired.thin_gradient(2, 1.0)
