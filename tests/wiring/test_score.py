"""Rules that say what an edge is worth: exact top-k of any score, and which of score and select counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.errors import InputError
from dnw_graph.wiring import Rule, Threshold, TopK, highest, make_rule, register, strongest
from dnw_graph.wiring.selection_on_device import highest_on_device

SCORES = st.lists(
    st.sampled_from([-np.inf, -2.0, -0.0, 0.0, 1e-45, 1.0, 1.5, np.inf]), min_size=1, max_size=30
)


@given(SCORES, st.data())
@settings(max_examples=200, deadline=None)
def test_highest_is_a_stable_sort(scores, data):
    k, score = data.draw(st.integers(0, len(scores))), torch.tensor(scores)
    expected = sorted(sorted(range(len(scores)), key=lambda each: -scores[each])[:k])
    last = Threshold()
    for _ in range(2):
        assert highest(score, k, last).tolist() == expected
    if 0 < k < len(scores):
        assert highest_on_device(score, k).tolist() == expected


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_highest_takes_other_floats_and_puts_nan_last(dtype):
    score = torch.tensor([float("nan"), -1.0, -3.0, float("nan"), -2.0], dtype=dtype)
    assert [highest(score, k).tolist() for k in (1, 2, 3, 4)] == [[1], [1, 4], [1, 2, 4], [0, 1, 2, 4]]


def test_scores_that_are_not_negative_go_the_way_of_top_k():
    weight = torch.randn(500_000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(highest(weight.abs(), 10_000), strongest(weight, 10_000))


class Signed(Rule):
    def score(self, view):
        return view.weight


def test_a_rule_of_one_score_keeps_the_k_highest(tiny_stage):
    stage = tiny_stage(weights=[-3.0, 1.0, -1.0, 1.0], k=2, rule=Signed())
    assert stage.selected.tolist() == [1, 3]
    with torch.no_grad():
        stage.weight -= 2
    stage.rewire()
    assert stage.selected.tolist() == [1, 3]
    assert tiny_stage(weights=[-3.0, 1.0, -1.0, 1.0], k=3, rule=Signed()).selected.tolist() == [1, 2, 3]


def test_the_nearest_of_score_and_select_counts(tiny_stage):
    class First(TopK):
        def select(self, weight, k):
            return torch.arange(k)

    class SignedAgain(First):
        def score(self, view):
            return view.weight

    weights = [1.0, -3.0, 2.0]
    assert tiny_stage(weights=weights, k=1).selected.tolist() == [1]
    assert tiny_stage(weights=weights, k=1, rule=First()).selected.tolist() == [0]
    assert tiny_stage(weights=weights, k=1, rule=SignedAgain()).selected.tolist() == [2]


@pytest.mark.parametrize(
    ("returned", "found"),
    [
        (torch.ones(3), "torch.float32 [3]"),
        (torch.ones(2, dtype=torch.int64), "torch.int64 [2]"),
        (None, "NoneType"),
    ],
)
def test_a_score_that_is_none_is_refused(tiny_stage, returned, found):
    class Wrong(Rule):
        def score(self, view):
            return returned

    with pytest.raises(InputError) as caught:
        tiny_stage(weights=[1.0, 2.0], k=1, rule=Wrong())
    assert str(caught.value) == (
        f"rule Wrong: score gave {found} for stage_0; floats [2] wanted, one per candidate edge"
    )


def test_a_registered_rule_must_choose_something():
    register("nothing")(type("Nothing", (Rule,), {}))
    with pytest.raises(InputError, match=r"define score\(view\), select\(weight, k\) or choose\(view\)$"):
        make_rule("nothing")


@pytest.mark.parametrize("key", ["reach", "learns"])
def test_reach_and_learns_are_one_of_two_words(key):
    register("wrong")(type("Wrong", (Signed,), {key: "everything"}))
    with pytest.raises(InputError, match=f"has {key} 'everything'; use 'candidates' or 'selected'$"):
        make_rule("wrong")


def test_the_hook_sees_which_edges_entered(tiny_stage):
    class Witness(TopK):
        entered: tuple = ()

        def after_step(self, view):
            self.entered += (view.entered.tolist(),)

    stage = tiny_stage(weights=[3.0, 2.0, 1.0], k=2, rule=Witness())
    with torch.no_grad():
        stage.weight[2] = 4
    stage.rewire(1)
    stage.rewire(2)
    assert stage.rule.entered == ([False] * 3, [False, False, True], [False] * 3)


def test_draws_of_the_hook_are_not_those_of_the_choice(tiny_stage):
    class Drawing(TopK):
        drawn: tuple = ()

        def score(self, view):
            self.drawn += (torch.rand(3, generator=view.generator).tolist(),)
            return view.weight.abs()

        def after_step(self, view):
            self.drawn += (torch.rand(3, generator=view.generator).tolist(),)

    choice, hook = tiny_stage(weights=[1.0, 2.0], k=1, rule=Drawing()).rule.drawn
    assert choice != hook
