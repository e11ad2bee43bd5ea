"""The rules of the project, and when they are asked."""

from __future__ import annotations

import copy

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.wiring import FixedTopK, Random, Rule, TopK, TopKNoUpdate, make_rule, register, rule_names


def step(stage, grads, lr):
    with torch.no_grad():
        stage.weight -= lr * torch.tensor(grads)
    return stage.rewire()


def test_top_k_keeps_the_strongest(tiny_stage):
    stage = tiny_stage(weights=[0.5, -3.0, 1.0, 0.0], k=2)
    assert stage.selected.tolist() == [1, 2]


def test_unselected_edge_overtakes_by_its_own_gradient(tiny_stage):
    """An edge outside the wiring grows by its own gradient until it displaces the weakest one."""
    stage = tiny_stage(weights=[3.0, 2.0, 1.0], k=2)
    assert stage.selected.tolist() == [0, 1]
    assert step(stage, grads=[0.0, 0.5, -0.75], lr=1.0) == 1
    assert stage.selected.tolist() == [0, 2]


def test_unselected_edge_overtakes_by_the_gradient_of_a_loss(tiny_stage):
    """Two edges from h = 1; the loss pulls only on target 1, whose edge is not in the wiring."""
    stage = tiny_stage(weights=[0.6, 0.5], k=1)
    (index,), (weight,) = stage.indices(), stage.block_weights()
    z = stage.send(index, weight, torch.ones(1, 1, 1, 1), None)
    assert z.flatten().tolist() == pytest.approx([0.6, 0.0])
    (z * torch.tensor([0.0, -1.0]).reshape(2, 1, 1, 1)).sum().backward()
    assert stage.weight.grad.tolist() == [0.0, -1.0]
    assert step(stage, stage.weight.grad.tolist(), lr=0.2) == 1
    assert stage.selected.tolist() == [1]


def test_swaps_are_the_edges_that_entered(tiny_stage):
    stage = tiny_stage(weights=[4.0, 3.0, 2.0, 1.0], k=2)
    assert step(stage, grads=[0.0] * 4, lr=1.0) == 0
    assert step(stage, grads=[4.0, 3.0, 0.0, 0.0], lr=1.0) == 2


def test_unchanged_wiring_keeps_its_index_tensors(tiny_stage):
    """What backends derived from them stays valid, and nothing is computed twice."""
    stage = tiny_stage(weights=[4.0, 3.0, 2.0], k=2)
    before = stage.indices()[0].source
    step(stage, grads=[-1.0, 0.5, 0.0], lr=1.0)
    assert stage.indices()[0].source is before


def test_random_is_drawn_once_and_never_again(tiny_stage):
    stage = tiny_stage(weights=[float(n) for n in range(50)], k=10, rule=Random())
    drawn = stage.selected.tolist()
    assert len(set(drawn)) == 10
    assert step(stage, grads=[n - 25.0 for n in range(50)], lr=1.0) == 0
    assert stage.selected.tolist() == drawn


def test_random_follows_from_the_seed_alone():
    def drawn(seed):
        return tiny_static(
            rule="random", num_classes=10, edges=300, groups=(4, 20, 20), readout=10, seed=seed
        )

    first = drawn(1).wirings()["stage_0"].tolist()
    torch.manual_seed(99)
    assert drawn(1).wirings()["stage_0"].tolist() == first
    assert drawn(2).wirings()["stage_0"].tolist() != first


def test_random_draws_every_candidate_equally_often(tiny_stage):
    """500 seeds, 6 of 12: each candidate is expected 250 times, with a standard deviation of 11."""
    counts = torch.zeros(12)
    for seed in range(500):
        counts[tiny_stage(weights=[0.0] * 12, k=6, rule=Random(), seed=seed).selected] += 1
    assert ((counts - 250).abs() < 5 * 11.2).all()


def test_random_gives_gradient_to_drawn_edges_only(tiny_stage):
    stage = tiny_stage(weights=[1.0] * 6, k=3, rule=Random())
    (index,), (weight,) = stage.indices(), stage.block_weights()
    stage.send(index, weight, torch.ones(1, 1, 1, 1), None).sum().backward()
    expected = [1.0 if each in stage.selected.tolist() else 0.0 for each in range(6)]
    assert stage.weight.grad.tolist() == expected


@pytest.mark.parametrize("name", ["stage_0", "head"])
def test_nan_is_an_error_that_names_the_parameter(tiny_stage, name):
    stage = tiny_stage(weights=[1.0, 2.0], k=1, name=name)
    with torch.no_grad():
        stage.weight[1] = float("nan")
    with pytest.raises(FloatingPointError, match=rf"parameter {name}\.weight holds NaN"):
        stage.rewire()
    assert stage.selected.tolist() == [1]


def test_nan_is_reported_once_so_that_mended_weights_can_go_on(tiny_stage):
    stage = tiny_stage(weights=[1.0, 2.0], k=1)
    with torch.no_grad():
        stage.weight[0] = float("nan")
    with pytest.raises(FloatingPointError):
        stage.rewire()
    with torch.no_grad():
        stage.weight[0] = 3.0
    assert stage.rewire() == 1


def test_unknown_rule_is_told_the_nearest():
    with pytest.raises(InputError, match=r"model\.rule 'top-k' is not a known rule; did you mean 'top_k'\?"):
        make_rule("top-k")


def test_unknown_rule_unlike_any_is_told_all():
    with pytest.raises(InputError, match="known rules: fixed_top_k, random, top_k, top_k_no_update "):
        make_rule("zzz")


def test_rules_are_registered_by_name():
    assert {"random", "top_k"} <= set(rule_names())
    assert type(make_rule("top_k")) is TopK


def test_a_name_is_not_taken_twice():
    with pytest.raises(InputError, match=r"rule name 'top_k' is taken by dnw_graph\.wiring\.top_k\.TopK"):
        register("top_k")(type("TopK", (Rule,), {}))


def test_a_rule_without_select_or_choose_says_so(tiny_stage):
    class Nothing(Rule):
        pass

    with pytest.raises(TypeError, match="rule Nothing defines neither select nor choose"):
        tiny_stage(weights=[1.0, 2.0], k=1, rule=Nothing())


@pytest.mark.parametrize(
    ("returned", "sentence"),
    [
        (torch.tensor([0, 1, 2]), "rule Wrong selected 3 edges of stage_0, whose budget is 2"),
        (torch.tensor([1, 1]), "rule Wrong selected an edge of stage_0 twice; return each id once"),
        (torch.tensor([1, 4]), "rule Wrong selected id 4 of stage_0; ids run from 0 to 3"),
        (torch.tensor([-1, 2]), "rule Wrong selected id -1 of stage_0; ids run from 0 to 3"),
        (torch.tensor([0.0, 1.0]), "rule Wrong returned torch.float32 [2] for stage_0; int64 ids [k] wanted"),
        (
            torch.tensor([[0], [1]]),
            "rule Wrong returned torch.int64 [2, 1] for stage_0; int64 ids [k] wanted",
        ),
        ([0, 1], "rule Wrong returned list for stage_0; a tensor of int64 ids [k] wanted"),
        (None, "rule Wrong returned NoneType for stage_0; a tensor of int64 ids [k] wanted"),
    ],
)
def test_ids_that_are_no_wiring_are_refused(tiny_stage, returned, sentence):
    class Wrong(Rule):
        def select(self, weight, k):
            return returned

    with pytest.raises(InputError) as caught:
        tiny_stage(weights=[1.0, 2.0, 3.0, 4.0], k=2, rule=Wrong())
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (torch.ones(3), "torch.float32 [3]"),
        (torch.ones(2, 2), "torch.float32 [2, 2]"),
        (torch.ones(4, dtype=torch.int64), "torch.int64 [4]"),
        (1.0, "float"),
    ],
)
def test_effective_values_of_another_size_are_refused(tiny_stage, given, found):
    class Wrong(TopK):
        def effective(self, weight):
            return given

    stage = tiny_stage(weights=[1.0, 2.0, 3.0, 4.0], k=2, rule=Wrong())
    with pytest.raises(InputError) as caught:
        stage.block_weights()
    sentence = f"rule Wrong: effective gave {found} for stage_0; floats [4] wanted, one per candidate edge"
    assert str(caught.value) == sentence


def test_ids_may_come_in_any_order_and_be_fewer_than_the_budget(tiny_stage):
    class Backwards(Rule):
        def select(self, weight, k):
            return torch.tensor([3, 0])

    assert tiny_stage(weights=[1.0] * 4, k=3, rule=Backwards()).selected.tolist() == [0, 3]


class Witness(Rule):
    """Notes what it is shown."""

    def __init__(self, rewires):
        self.rewires = rewires
        self.chosen, self.hooked = [], []

    def choose(self, view):
        self.chosen.append(view)
        return torch.tensor([view.step, view.step + 1])

    def after_step(self, view):
        self.hooked.append(view)


def test_a_rule_sees_wiring_gradient_budget_and_step(tiny_stage):
    rule = Witness(rewires=True)
    stage = tiny_stage(weights=[1.0, 2.0, 3.0, 4.0], k=2, rule=rule)
    assert rule.chosen[-1].gradient is None
    assert rule.chosen[-1].current.tolist() == []
    stage.weight.grad = torch.tensor([0.0, 1.0, 0.0, 2.0])
    stage.rewire(step=2)
    seen = rule.chosen[-1]
    assert (seen.name, seen.k, seen.step, seen.current.tolist()) == ("stage_0", 2, 2, [0, 1])
    assert seen.weight.tolist() == [1.0, 2.0, 3.0, 4.0]
    assert seen.gradient.tolist() == [0.0, 1.0, 0.0, 2.0]


def test_the_hook_sees_the_new_wiring(tiny_stage):
    rule = Witness(rewires=True)
    tiny_stage(weights=[1.0, 2.0, 3.0, 4.0], k=2, rule=rule).rewire(step=1)
    assert [view.current.tolist() for view in rule.hooked] == [[0, 1], [1, 2]]


def test_the_hook_runs_after_each_step_also_where_the_wiring_is_fixed(tiny_stage):
    rule = Witness(rewires=False)
    stage = tiny_stage(weights=[1.0, 2.0, 3.0, 4.0], k=2, rule=rule)
    stage.rewire(step=1)
    assert len(rule.chosen) == 1
    assert [view.step for view in rule.hooked] == [0, 1]


def test_draws_depend_on_seed_stage_and_step_only(tiny_stage):
    class Drawing(Rule):
        def choose(self, view):
            return torch.randperm(100, generator=view.generator)[:5]

    def draw(step, **options):
        stage = tiny_stage(weights=[0.0] * 100, k=5, rule=Drawing(), **options)
        stage.rewire(step)
        return stage.selected.tolist()

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
    assert draw(1) != draw(1, seed=1)
    assert draw(1) != draw(1, name="stage_1")


def test_two_rewirings_in_a_row_leave_indices_of_the_last(tiny_stage):
    stage = tiny_stage(weights=[1.0, 2.0, 3.0, 4.0], k=2)
    for order in ([4.0, 3.0, 2.0, 1.0], [1.0, 4.0, 3.0, 2.0], [4.0, 1.0, 2.0, 3.0]):
        with torch.no_grad():
            stage.weight.copy_(torch.tensor(order))
        stage.rewire()
    (index,) = stage.indices()
    assert index.position.tolist() == stage.selected.tolist() == [0, 3]


def test_a_copy_rewires_by_itself(tiny_stage):
    stage = tiny_stage(weights=[1.0, 2.0, 3.0], k=1)
    twin = copy.deepcopy(stage)
    with torch.no_grad():
        twin.weight[0] = 9.0
    twin.rewire()
    assert (stage.selected.tolist(), twin.selected.tolist()) == ([2], [0])
    assert (stage.indices()[0].position.tolist(), twin.indices()[0].position.tolist()) == ([2], [0])


def test_fixed_top_k_keeps_its_first_edges_and_no_zero_among_them(tiny_stage):
    stage = tiny_stage(weights=[3.0, 0.0, -2.0, 0.0], k=3, rule=FixedTopK())
    assert stage.selected.tolist() == [0, 2]
    assert step(stage, grads=[2.9, -5.0, 0.0, 0.0], lr=1.0) == 0
    assert stage.selected.tolist() == [0, 2]


def test_no_update_rewires_by_strength_but_teaches_only_the_wiring(tiny_stage):
    stage = tiny_stage(weights=[3.0, 2.0, 1.0], k=2, rule=TopKNoUpdate())
    (index,), (weight,) = stage.indices(), stage.block_weights()
    stage.send(index, weight, torch.ones(1, 1, 1, 1), None).sum().backward()
    assert stage.weight.grad.tolist() == [1.0, 1.0, 0.0]
    assert step(stage, grads=[0.0, 1.5, 0.0], lr=1.0) == 1
    assert stage.selected.tolist() == [0, 2]
