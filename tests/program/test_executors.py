"""Every executor gives the numbers of the plain NumPy evaluator, for exactly the counted work."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnw_graph as dg
from dnw_graph.engine.plan_limits import lacks
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.inference.by_steps import BySteps
from dnw_graph.message_passing import backends
from dnw_graph.message_passing.executed import recording
from dnw_graph.models.lower import lower
from dnw_graph.native import library
from dnw_graph.program.cost import cost
from dnw_graph.program.fold import folded
from dnw_graph.program.layers import Choice
from dnw_graph.program.program import LOGITS, Program
from dnw_graph.program.reference import evaluate, states_of
from dnw_graph.program.split import split
from dnw_graph.program.steps import Integrate, Linear, Messages, NodeOperation, Pool

# DGL has no wheel for the newest Pythons.
USABLE = {each.name for each in backends() if each.reason() is None}
BACKENDS = [name for name in ("dense", "csr", "dgl") if name in USABLE]
LAW = settings(max_examples=60, deadline=None)
needs_kernels = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)


@given(data=st.data())
@LAW
def test_a_network_is_its_program(data, networks, programs):
    """evaluate(lower(model), images) = model(images)"""
    model = data.draw(networks.networks_and_discretes())
    images = networks.images_for(model, data.draw(st.integers(1, 3), "images"))
    found = evaluate(lower(model), images.numpy())
    assert programs.relative(found, model(images).detach().numpy()) < 1e-9


@given(data=st.data())
@LAW
def test_torch_runs_random_programs(data, programs):
    """With every backend, whole and split."""
    program = data.draw(programs.programs())
    images = programs.images_for(program)
    expected = evaluate(program, images)
    for backend in BACKENDS:
        assert programs.relative(programs.by_torch(program, images, backend), expected) < 1e-9
        assert programs.relative(programs.by_torch_split(program, images, backend), expected) < 1e-9


@needs_kernels
@given(data=st.data())
@LAW
def test_networks_run_step_by_step_with_the_c_kernels(data, networks, programs):
    """What the engine does when it lacks a step."""
    model = data.draw(networks.networks_and_discretes())
    images = networks.images_for(model)
    steps = BySteps(lower(model), Choice("native")).float()
    found = steps.logits(images.float(), {}).numpy()
    assert programs.relative(found, evaluate(lower(model), images.numpy())) < 2e-5


@needs_kernels
@given(data=st.data())
@LAW
def test_the_engine_runs_random_programs(data, programs):
    program = data.draw(programs.programs(plain=True))
    live, _ = split(program)
    assert lacks(folded(live)) is None
    images = programs.images_for(program)
    logits, macs = programs.by_engine(program, images)
    assert programs.relative(logits, evaluate(program, images)) < 2e-5
    assert macs == cost(folded(live)).macs * len(images)


@given(data=st.data())
@LAW
def test_what_runs_is_what_the_program_costs(data, networks):
    """cost(live part) = count = MACs of the launches, step by step and in the engine."""
    model = data.draw(networks.networks_and_discretes())
    images = networks.images_for(model)
    live, _ = split(lower(model))
    expected = cost(live).macs
    assert dg.count(model).macs == expected
    _, executed = dg.compile(model, "csr").run(images)
    assert executed.macs == expected
    if "native" in USABLE:
        single = copy.deepcopy(model).float()
        _, executed = dg.compile(single, "native").run(images.float())
        assert executed.macs == expected


@given(data=st.data())
@LAW
def test_torch_executes_the_cost_of_random_programs(data, programs):
    program = data.draw(programs.programs())
    images = programs.images_for(program)
    with recording(len(images)) as executed:
        programs.by_torch(program, images, "csr")
    assert executed.macs == cost(folded(program)).macs == cost(program).macs


def growth(tolerance: float = 1e-6) -> Program:
    """∂z/∂t = A z on maps of one pixel, A = [[0, 1], [-1, 0]]: after t = 1, z has turned by one radian."""
    operation = NodeOperation("op", "stage_0", "z", "h", NodeSpec("none", "identity", kernel_size=1))
    messages = Messages("edges", "stage_0", "h", ("y",), (2,))
    steps = (
        Pool("mean", "stem", "images", "z"),
        Integrate("solve", "stage_0", "z", "y", (operation, messages), tolerance),
        Linear("linear", "head", "z", LOGITS),
    )
    tensors = {
        "op.kernel": np.ones((2, 1, 1)),
        "edges.row": np.array([0, 1]),
        "edges.column": np.array([1, 0]),
        "edges.weight": np.array([1.0, -1.0]),
        "linear.weight": np.eye(2),
    }
    return Program(steps, {"images": 2, "z": 2, "h": 2, "y": 2, LOGITS: 2}, tensors, image_size=1)


def test_continuous_time_against_a_rotation(programs):
    """z(1) = [cos 1 · z₀ + sin 1 · z₁, cos 1 · z₁ − sin 1 · z₀]"""
    images = np.array([[1.0, 0.0], [0.5, 2.0]])[:, :, None, None]
    cos, sin = np.cos(1), np.sin(1)
    expected = images[:, :, 0, 0] @ np.array([[cos, -sin], [sin, cos]])
    for backend in BACKENDS:
        found = programs.by_torch(growth(), images, backend)
        assert np.abs(found - expected).max() < 1e-5


def test_numpy_refuses_continuous_time():
    with pytest.raises(ValueError, match="use torch"):
        states_of(growth(), np.zeros((1, 2, 1, 1)))


def test_cost_of_continuous_time_is_that_of_one_evaluation():
    """Two kernels of one weight, two edges, and a 2×2 classifier, on one pixel each."""
    assert cost(growth(), "stage_0").macs == 2 + 2
    assert cost(growth()).macs == 2 + 2 + 4


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (NodeSpec("none", "tanh"), "NumPy knows activation relu, relu6, hardswish, silu, identity, not tanh"),
        (NodeSpec("group"), "NumPy knows norm batch, instance, affine, none, not group"),
    ],
)
def test_numpy_refuses_an_operation_that_it_lacks_by_name(spec, sentence):
    program = growth()
    steps = (program.steps[0], NodeOperation("op", "stage_0", "z", "h", spec), program.steps[-1])
    with pytest.raises(ValueError, match=sentence):
        evaluate(Program(steps, program.channels, program.tensors, 1), np.zeros((1, 2, 1, 1)))
