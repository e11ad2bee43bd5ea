"""Which channels are live, constant or dead, and what of them runs, on programs that are small enough."""

from __future__ import annotations

import numpy as np
import pytest

from dnw_graph.graph.layout import one_evaluation
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.status import CONSTANT, DEAD, LIVE
from dnw_graph.program.cost import cost
from dnw_graph.program.program import LOGITS, Program
from dnw_graph.program.reference import evaluate, states_of
from dnw_graph.program.split import from_constants, live_channels, reach_of, split
from dnw_graph.program.status import node_status
from dnw_graph.program.steps import (
    Convolution,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Repeat,
    Step,
    Sum,
)
from dnw_graph.program.unroll import unrolled

COPY = NodeSpec("none", "identity", kernel_size=1)


def made(steps: list[Step], channels: dict[str, int], tensors: dict, classes: int = 1) -> Program:
    """Images of one pixel and one channel; the last state of `channels` is pooled and read as it is."""
    last = list(channels)[-1]
    channels = {"images": 1, **channels, "pooled": channels[last], LOGITS: classes}
    steps = [*steps, Pool("pool", "head", last, "pooled"), Linear("linear", "head", "pooled", LOGITS)]
    weight = np.ones((classes, channels["pooled"]))
    return Program(tuple(steps), channels, {**tensors, "linear.weight": weight}, image_size=1)


def edges(name: str, source: str, target: str, size: int, pairs: dict[tuple[int, int], float]):
    """Messages along (u, v) → weight, and their tensors."""
    order = sorted(pairs, key=lambda pair: (pair[1], pair[0]))
    tensors = {
        f"{name}.row": np.array([v for _, v in order], dtype=np.int64),
        f"{name}.column": np.array([u for u, _ in order], dtype=np.int64),
        f"{name}.weight": np.array([pairs[pair] for pair in order]),
    }
    return Messages(name, "stage_0", source, (target,), (size,)), tensors


def start(name: str, source: str, target: str, size: int, pairs: dict[int, int]):
    tensors = {f"{name}.column": np.array([*pairs]), f"{name}.row": np.array([*pairs.values()])}
    return Sum(name, "stage_0", source, (target,), (size,)), tensors


def of(program: Program, state: str) -> str:
    """One letter per channel: live, constant, dead."""
    found = reach_of(program)
    live, constant = found.live(state), found.constant(state)
    return "".join("L" if a else "C" if b else "-" for a, b in zip(live, constant, strict=True))


def one_stage(pairs: dict[tuple[int, int], float], starts: dict[int, int] | None = None) -> Program:
    """Three stem channels z0 → two states z1 → one of z2, each heard by the next; z0 is x, 2x, 3x.

    A norm shifts what z1's nodes send by 7. pairs: edges z0 → z1; z1's nodes both send to z2 with weight 1.
    """
    stem = Convolution("conv", "stem", "images", "z0")
    first = NodeOperation("level_0", "stage_0", "z0", "h0", COPY)
    heard, tensors = edges("stage_0.0", "h0", "z1", 2, pairs)
    second = NodeOperation("level_1", "stage_0", "z1", "h1", NodeSpec("affine", "identity", kernel_size=1), 1)
    read, more = edges("stage_0.1", "h1", "z2", 1, {(0, 0): 1.0, (1, 0): 1.0})
    tensors |= more
    steps: list[Step] = [stem, first, heard, second]
    if starts:
        twin, more = start("stage_0.start", "z1", "z2", 1, starts)
        tensors |= more
        steps.append(twin)
    tensors |= {
        "conv.weight": np.array([1.0, 2.0, 3.0]).reshape(3, 1, 1, 1),
        "level_0.kernel": np.ones((3, 1, 1)),
        "level_1.kernel": np.ones((2, 1, 1)),
        "level_1.scale": np.ones(2),
        "level_1.shift": np.full(2, 7.0),
    }
    return made([*steps, read], {"z0": 3, "h0": 3, "z1": 2, "h1": 2, "z2": 1}, tensors)


def test_a_chain():
    """0 → 0 → 0: nothing else is live; node 1 of z1 hears nothing, and sends its 7."""
    program = one_stage({(0, 0): 2.0})
    assert [of(program, state) for state in ("z0", "h0", "z1", "h1", "z2")] == ["L--", "L--", "LC", "LC", "L"]
    assert evaluate(program, np.ones((1, 1, 1, 1))).tolist() == [[2 + 7 + 7]]


def test_a_constant_node_is_a_constant_map():
    """The live part has a node less, and starts from 7."""
    program = one_stage({(0, 0): 2.0})
    live, constant = split(program)
    assert [live.channels[state] for state in ("z0", "h0", "z1", "h1")] == [1, 1, 1, 1]
    assert cost(live).macs == 1 + 1 + 1 + 1 + 1 + 1  # conv, kernel, edge, kernel, edge, class
    assert from_constants(constant) == ("from constants: z2",)
    states = states_of(constant, np.zeros((1, 1, 1, 1)))
    assert states["from constants: z2"].tolist() == [[[[7.0]]]]
    found = states_of(live, np.ones((1, 1, 1, 1)), {"from constants: z2": states["from constants: z2"]})
    assert found[LOGITS].item() == 2 + 7 + 7


def test_without_constant_nodes_there_is_no_constant_part():
    live, constant = split(one_stage({(0, 0): 1.0, (1, 1): 1.0}))
    assert constant is None
    assert from_constants(live) == ()


def test_a_node_that_is_heard_through_a_start_alone_is_live():
    """z2 starts from node 1 of z1, which hears node 2; its message comes on top: 3 + (3 + 7), and 7."""
    program = one_stage({(2, 1): 1.0}, starts={1: 0})
    assert [of(program, state) for state in ("z0", "z1", "z2")] == ["--L", "CL", "L"]
    assert evaluate(program, np.ones((1, 1, 1, 1))).tolist() == [[3 + (3 + 7) + 7]]


def test_a_network_without_a_path_is_constant():
    program = one_stage({})
    assert [of(program, state) for state in ("z0", "z1", "z2")] == ["---", "CC", "C"]
    live, constant = split(program)
    # Every image has logits, be they the same for all.
    assert cost(live).macs == 0
    given = states_of(constant, np.zeros((1, 1, 1, 1)))
    assert states_of(live, np.ones((1, 1, 1, 1)), {n: given[n] for n in from_constants(live)})[
        LOGITS
    ].item() == pytest.approx(14)


# A graph of five nodes that is applied twice, by hand
#
#   0 ─2─▶ 1 ─3─▶ 4 ◀─5─ 2      3        the stem feeds node 0, the classifier reads node 4
#   0 ─1─▶ 3                             after the messages, 7 is added to node 2
#
# evaluation 0:  z = [x 0 0 0 0]  →  y = [0 2x 7 x 0]
# evaluation 1:                   →  y = [0 0 7 0 3·2x + 5·7]

PAIRS = {(0, 1): 2.0, (1, 4): 3.0, (2, 4): 5.0, (0, 3): 1.0}


def five_nodes(times: int = 2, pairs=PAIRS) -> Program:
    fed, tensors = start("fed", "stem", "z0", 5, {0: 0})
    sent, more = edges("stage_0.0", "h0", "z1", 5, pairs)
    read, last = start("read", "z0", "readout", 1, {4: 0})
    norm = Norm("norm", "stage_0", "z1", "y", "affine")
    once = (NodeOperation("level_0", "stage_0", "z0", "h0", COPY), sent, norm)
    tensors |= more | last
    tensors |= {
        "conv.weight": np.ones((1, 1, 1, 1)),
        "level_0.kernel": np.ones((5, 1, 1)),
        "norm.scale": np.ones(5),
        "norm.shift": np.array([0.0, 0.0, 7.0, 0.0, 0.0]),
    }
    steps = [Convolution("conv", "stem", "images", "stem"), fed]
    steps += [Repeat("evaluations", "stage_0", "z0", "y", times, once), read]
    channels = {"stem": 1, "z0": 5, "h0": 5, "z1": 5, "y": 5, "readout": 1}
    return made(steps, channels, tensors)


def test_two_evaluations_by_hand():
    images = np.array([1.0, 10.0]).reshape(2, 1, 1, 1)
    assert evaluate(five_nodes(), images).tolist() == [[6 + 35], [60 + 35]]


def test_each_evaluation_has_live_nodes_of_its_own():
    program = unrolled(five_nodes())
    assert of(program, "z0") == "L----"
    assert of(program, "z0@1") == "-LC--"
    assert of(program, "z0@2") == "----L"


def test_a_node_is_live_if_it_is_in_any_evaluation():
    program = unrolled(five_nodes())
    live = live_channels(program, reach_of(program))
    for state in ("z0", "h0@0", "z1@0", "z0@1", "h0@1", "z0@2"):
        assert live[state].tolist() == [True, True, False, False, True], state


def test_every_evaluation_runs_all_live_nodes_and_edges():
    """Nodes 0, 1, 4 and edges 0 → 1, 1 → 4, twice; a stem and a classifier of one weight each."""
    live, constant = split(five_nodes())
    assert cost(live).macs == 2 * (3 + 2) + 2
    assert cost(live).params == 3 + 2 + 2
    assert cost(live, "stage_0").macs == 2 * (3 + 2)
    # What node 2 sends comes before the second evaluation only.
    assert from_constants(constant) == ("from constants: z1@1",)
    given = states_of(constant, np.zeros((1, 1, 1, 1)))["from constants: z1@1"]
    assert given[:, 0, 0, 0].tolist() == [0, 0, 35]
    assert states_of(live, np.ones((1, 1, 1, 1)), {"from constants: z1@1": given})[LOGITS].item() == 41


def test_the_status_of_the_five_nodes_is_that_of_the_program():
    """Before and after the evaluation a node has one status; 3 is heard by nobody."""
    source, target = (np.array(ends) for ends in zip(*PAIRS, strict=True))
    layout = one_evaluation(5, 1, 2)
    read = np.arange(5) == 4
    status = node_status(layout, source, target + 5, read).tolist()
    assert status == 2 * [LIVE, LIVE, CONSTANT, DEAD, LIVE]


def test_a_third_evaluation_leaves_nothing_live():
    """What the stem fed has left the graph by then, and node 2 still sends."""
    assert evaluate(five_nodes(3), np.ones((1, 1, 1, 1))).tolist() == [[35]]
    source, target = (np.array(ends) for ends in zip(*PAIRS, strict=True))
    status = node_status(one_evaluation(5, 1, 3), source, target + 5, np.arange(5) == 4)
    assert status.tolist() == 2 * [CONSTANT, CONSTANT, CONSTANT, DEAD, CONSTANT]


def test_a_classifier_hears_a_node_once_though_it_was_live_before():
    """Node 0 is live in the first evaluation, sends to 1, and is the constant 3 after it.

    y = [3, 2·z₀ + z₁ + 4], twice, from z = [x, x]: [3, 3x + 4] and [3, 2·3 + 3x + 4 + 4]; read: both.
    """
    sent, tensors = edges("stage_0.0", "h", "m", 2, {(0, 1): 2.0, (1, 1): 1.0})
    norm = Norm("norm", "stage_0", "m", "y", "affine")
    once = (NodeOperation("level_0", "stage_0", "z", "h", COPY), sent, norm)
    steps = [
        Convolution("conv", "stem", "images", "z"),
        Repeat("evaluations", "stage_0", "z", "y", 2, once),
        Norm("copy", "head", "z", "read", "none"),
    ]
    tensors |= {"conv.weight": np.ones((2, 1, 1, 1)), "level_0.kernel": np.ones((2, 1, 1))}
    tensors |= {"norm.scale": np.ones(2), "norm.shift": np.array([3.0, 4.0])}
    program = made(steps, {"z": 2, "h": 2, "m": 2, "y": 2, "read": 2}, tensors)
    images = np.ones((1, 1, 1, 1))
    expected = 3 + 2 * 3 + 3 + 4 + 4
    assert evaluate(program, images).item() == expected
    live, constant = split(program)
    made_once = states_of(constant, np.zeros_like(images))
    given = {name: made_once[name] for name in from_constants(live)}
    assert states_of(live, images, given)[LOGITS].item() == expected
