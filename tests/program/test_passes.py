"""Passes change how a program runs, not what it computes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.models.lower import lower
from dnw_graph.program.cost import cost
from dnw_graph.program.fold import folded
from dnw_graph.program.program import LOGITS, Program
from dnw_graph.program.reference import evaluate
from dnw_graph.program.restrict import restricted
from dnw_graph.program.split import split
from dnw_graph.program.steps import Convolution, Linear, Messages, NodeOperation, Norm, Pool, Repeat
from dnw_graph.program.unroll import unrolled

LAW = settings(max_examples=60, deadline=None)
PASSES = {"unrolled": unrolled, "folded": folded}
# Every order of the two, each of them left out or done twice, too.
ORDERS = [order for count in range(4) for order in itertools.product(PASSES, repeat=count)]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: " ".join(order) or "none")
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_passes_preserve_logits_in_any_order(order, data, programs):
    """The last one being the split into a live and a constant part, folded or not."""
    program = data.draw(programs.programs())
    images = programs.images_for(program)
    expected = evaluate(program, images)
    for name in order:
        program = PASSES[name](program)
    assert programs.relative(evaluate(program, images), expected) < 1e-9
    for fold in (False, True):
        assert programs.relative(programs.by_numpy_split(program, images, fold), expected) < 1e-9


@given(data=st.data())
@LAW
def test_a_split_network_has_its_logits(data, networks, programs):
    model = data.draw(networks.networks_and_discretes())
    images = networks.images_for(model).numpy()
    program = lower(model)
    for fold in (False, True):
        found = programs.by_numpy_split(program, images, fold)
        assert programs.relative(found, evaluate(program, images)) < 1e-9


@given(data=st.data())
@LAW
def test_what_is_split_off_costs_nothing(data, programs):
    """A live part is split into itself."""
    live, _ = split(data.draw(programs.programs()))
    again, _ = split(live)
    assert cost(again).macs == cost(live).macs


@given(data=st.data())
@LAW
def test_passes_cost_and_change_nothing_twice(data, programs):
    program = data.draw(programs.programs())
    assert unrolled(unrolled(program)) == unrolled(program)
    assert cost(unrolled(program)).macs == cost(program).macs == cost(folded(program)).macs
    assert cost(unrolled(program)).params == cost(program).params


@given(data=st.data())
@LAW
def test_keeping_every_channel_changes_nothing(data, programs):
    program = data.draw(programs.programs())
    every = {name: np.ones(count, dtype=bool) for name, count in program.channels.items()}
    assert restricted(program, every, {}) == program


def twice(norm_before: str = "batch") -> Program:
    """Convolution, norm, then twice: node operation, messages, norm. One channel, one edge."""
    operation = NodeOperation("op", "stage_0", "z", "h", NodeSpec("none", "relu", kernel_size=1))
    messages = Messages("edges", "stage_0", "h", ("sum",), (1,))
    after = Norm("after", "stage_0", "sum", "y", "batch", eps=0.0)
    steps = (
        Convolution("conv", "stem", "images", "wide", padding=1, activation="relu"),
        Norm("before", "stem", "wide", "z", norm_before, eps=0.0),
        Repeat("repeat", "stage_0", "z", "y", 2, (operation, messages, after)),
        Pool("pool", "head", "z", "pooled"),
        Linear("linear", "head", "pooled", LOGITS),
    )
    norms = {}
    for name, weight, bias, mean, var in (("before", 2.0, 1.0, 3.0, 4.0), ("after", 6.0, 5.0, 1.0, 9.0)):
        values = {"weight": weight, "bias": bias, "mean": mean, "var": var}
        norms |= {f"{name}.norm_{leaf}": np.array([value]) for leaf, value in values.items()}
    tensors = norms | {
        "conv.weight": np.ones((1, 3, 3, 3)),
        "op.kernel": np.ones((1, 1, 1)),
        "edges.row": np.array([0]),
        "edges.column": np.array([0]),
        "edges.weight": np.array([1.0]),
        "linear.weight": np.ones((1, 1)),
    }
    channels = {"images": 3, "wide": 1, "z": 1, "h": 1, "sum": 1, "y": 1, "pooled": 1, LOGITS: 1}
    return Program(steps, channels, tensors, image_size=1)


def test_a_batch_norm_is_one_scale_and_shift():
    """weight / √var = 2 / 2 and bias − mean · scale = 1 − 3; 6 / 3 and 5 − 2."""
    program = folded(twice())
    assert [program.tensors[f"before.{name}"].tolist() for name in ("scale", "shift")] == [[1.0], [-2.0]]
    assert [program.tensors[f"after.{name}"].tolist() for name in ("scale", "shift")] == [[2.0], [3.0]]


def test_each_evaluation_takes_in_the_norm_before_it():
    """The first one that of the stem, the second one that after the first messages; the last norm stays."""
    program = folded(unrolled(twice()))
    operations = [step for step in program.steps if isinstance(step, NodeOperation)]
    taken = [(step.source, program.tensor(step, "scale").tolist()) for step in operations]
    assert taken == [("wide", [1.0]), ("sum@0", [2.0])]
    assert [step.target for step in program.steps if isinstance(step, Norm)] == ["z@2"]


def test_a_norm_right_after_a_convolution_is_folded_into_it():
    """y = 1 · (w ∗ x) − 2, if nothing lies between."""
    program = twice()
    conv = Convolution("conv", "stem", "images", "wide", padding=1)
    program = folded(Program((conv, *program.steps[1:]), program.channels, program.tensors, 1))
    assert isinstance(program.steps[1], Repeat)
    assert program.tensors["conv.bias"].tolist() == [-2.0]
    assert (program.tensors["conv.weight"] == 1).all()


def test_logits_of_two_evaluations_by_hand():
    """An image of ones: 3 → 1 · 3 − 2 = 1 → 2 · 1 + 3 = 5 → 2 · 5 + 3 = 13."""
    images = np.ones((1, 3, 1, 1))
    assert evaluate(twice(), images).tolist() == [[13.0]]
    assert evaluate(folded(unrolled(twice())), images).tolist() == [[13.0]]
