"""A stage image by image in the C kernels against the same stage level by level, forward and backward."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.message_passing import EdgeIndex, recording
from dnw_graph.message_passing import stage_operator as operator
from dnw_graph.message_passing.native_stage import goes_by_image
from dnw_graph.message_passing.stage_pass import Parameters
from dnw_graph.native import library

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)
INSTRUCTIONS = library.supported() if library.reason() is None else ["portable"]


def operands(sizes, images, side, density=0.4, carry=0, reaches_last=True, seed=0, backend="native"):
    """What `run_stage` is given: random edges, of which some nodes have none.

    Each node's activations are all positive or all 0, so that rounding moves none over the ReLU's kink: a
    normed value among n is at most √n.
    """
    torch.manual_seed(seed)
    later = [sum(sizes) - end for end in accumulate(sizes[:-1])]
    targets = [count if reaches_last or level else count - sizes[-1] for level, count in enumerate(later)]
    senders = sum(sizes[:-1])
    chosen = [torch.rand(count * size) < density for count, size in zip(targets, sizes, strict=False)]
    index = [
        EdgeIndex.of_positions(mask.nonzero().squeeze(1), count, size)
        for mask, count, size in zip(chosen, targets, sizes, strict=False)
    ]
    kink = 1.0 + (side[0] * side[1]) ** 0.5
    shift = torch.where(torch.rand(senders) < 0.8, kink, -kink)
    tensors = (
        torch.randn(sizes[0], images, *side),
        torch.randn(sum(mask.numel() for mask in chosen)),
        torch.rand(senders) * 0.5 + 0.5,
        shift,
        torch.randn(senders, 1, 3, 3),
    )
    index_of = ([i.pointer for i in index], [i.source for i in index], [i.position for i in index])
    rest = (*index_of, list(sizes), targets, 1, carry, "instance", 1e-5, "candidates", images, 1.0, backend)
    return [tensor.requires_grad_() for tensor in tensors], rest


def step(tensors, rest, g):
    out, *_ = operator.run_stage(*tensors, None, None, *rest)
    return out.detach(), torch.autograd.grad((out * g).sum(), tensors)


def both(case, monkeypatch, expected=True):
    """Out and gradients of the way by image and of the one by level."""
    tensors, rest = case
    g = torch.randn(rest[3][-1], *tensors[0].shape[1:])
    asked = []

    def ask(*arguments):
        asked.append(goes_by_image(*arguments))
        return asked[-1]

    with monkeypatch.context() as patch:
        patch.setattr(operator, "goes_by_image", ask)
        found = step(tensors, rest, g)
        assert asked == [expected, expected]
        patch.setattr(operator, "goes_by_image", lambda *arguments: False)
        return found, step(tensors, rest, g)


def assert_same(found, wanted):
    for one, other in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        largest = float(other.abs().max()) if other.numel() else 0.0
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * max(largest, 1e-3))


@settings(max_examples=120, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 19), min_size=2, max_size=5),
    images=st.sampled_from([1, 2, 3, 16, 17, 35]),
    side=st.tuples(st.sampled_from([1, 2, 7, 8]), st.sampled_from([8, 16, 24])),
    density=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    carries=st.booleans(),
    reaches_last=st.booleans(),
    threads=st.integers(1, 4),
    instructions=st.sampled_from(INSTRUCTIONS),
    seed=st.integers(0, 99),
)
def test_image_by_image_is_level_by_level(
    sizes, images, side, density, carries, reaches_last, threads, instructions, seed
):
    carry = sizes[-1] if carries and sizes[-1] <= sizes[-2] else 0
    case = operands(sizes, images, side, density, carry, reaches_last or len(sizes) == 2, seed)
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "instructions", lambda: instructions)
        try:
            torch.set_num_threads(threads)
            found, wanted = both(case, patch)
        finally:
            torch.set_num_threads(before)
    assert_same(found, wanted)


@pytest.mark.parametrize("side", [(8, 8), (3, 16), (5, 24)])
@pytest.mark.parametrize("kinked", [False, True])
def test_it_is_the_stage_in_float64(side, kinked, taken):
    tensors, rest = operands((6, 17, 9, 5), 5, side, carry=5)
    if kinked:
        # The ReLU cuts through the maps; these seeds leave no pixel within rounding of its kink.
        tensors[3].data = 0.5 * torch.randn(len(tensors[3]))
    g = torch.randn(5, 5, *side)
    found = step(tensors, rest, g)
    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
    assert taken == [True, True]
    wanted = step(exact, (*rest[:-1], "csr"), g.double())
    for one, other in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.fixture
def taken(monkeypatch):
    """What `goes_by_image` answered so far."""
    answers = []

    def ask(*arguments):
        answers.append(goes_by_image(*arguments))
        return answers[-1]

    monkeypatch.setattr(operator, "goes_by_image", ask)
    return answers


def test_states_in_another_order_of_memory():
    tensors, rest = operands((6, 9, 5), 3, (8, 8))
    g = torch.randn(5, 3, 8, 8)
    wanted = step(tensors, rest, g)
    tensors[0] = tensors[0].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    found = step(tensors, rest, g)
    for one, other in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("place", "change", "message"),
    [
        (1, lambda weight: weight.double(), "float32 values wanted"),
        (2, lambda scale: scale.double(), "scale: 15 float32 values wanted, not 15 torch.float64"),
        (3, lambda shift: shift[:-1], "shift: 15 float32 values wanted, not 14"),
        (4, lambda kernel: kernel[:-1], "kernel: 135 float32 values wanted, not 126"),
        (7, lambda pointers: [pointers[0][:-1], pointers[1]], "must rise from 0|numbers wanted"),
        (
            7,
            lambda pointers: [torch.cat([each, each[-1:]]) for each in pointers],
            "15 numbers wanted, not 16",
        ),
        (9, lambda positions: [each[:-1] for each in positions], "float32 values wanted, one per edge"),
    ],
)
def test_operands_that_do_not_fit_are_refused(place, change, message, taken):
    tensors, rest = operands((6, 9, 5), 3, (8, 8), density=1.0)
    arguments = [*(tensor.detach() for tensor in tensors), None, None, *rest]
    arguments[place] = change(arguments[place])
    with pytest.raises(ValueError, match=message):
        operator.run_stage(*arguments)
    assert taken == [True]


def test_a_part_of_the_candidates_gradient_and_parts_of_the_batch(monkeypatch):
    tensors, rest = operands((5, 9, 9, 4), 35, (8, 8), carry=4)
    monkeypatch.setattr(operator, "image_parts", lambda batch, *args: [slice(0, 11), slice(11, batch)])
    for images, factor in ((35, 1.0), (20, 1.75), (35, 3.0), (0, 1.0)):
        case = tensors, (*rest[:-3], images, factor, rest[-1])
        assert_same(*both(case, monkeypatch))


def test_no_gradient_to_weights_that_do_not_learn(taken):
    tensors, rest = operands((5, 9, 4), 3, (8, 8))
    g = torch.randn(4, 3, 8, 8)
    _, wanted = step(tensors, rest, g)
    tensors[1].requires_grad_(False)
    out, *_ = operator.run_stage(*tensors, None, None, *rest)
    learning = [tensor for tensor in tensors if tensor.requires_grad]
    found = torch.autograd.grad((out * g).sum(), learning)
    for one, other in zip(found, [wanted[0], *wanted[2:]], strict=True):
        assert torch.equal(one, other)
    assert all(taken)


def test_nodes_without_an_edge_get_no_gradient_whatever_they_hold(taken):
    tensors, rest = operands((5, 9, 4), 3, (8, 8), density=0.0)
    with torch.no_grad():
        tensors[0][2, 1, 4, 4] = torch.nan
    out, (grad_z, _, *others) = step(tensors, rest, torch.ones(4, 3, 8, 8))
    assert all(taken)
    assert not any(each.any() for each in (out, grad_z, *others))


def test_a_map_that_is_not_a_number_stays_in_its_image(taken):
    tensors, rest = operands((5, 9, 4), 3, (8, 8), density=1.0)
    with torch.no_grad():
        tensors[0][2, 1, 4, 4] = torch.nan
    out, (grad_z, *_) = step(tensors, rest, torch.ones(4, 3, 8, 8))
    assert out[:, 1].isnan().all()
    assert not out[:, [0, 2]].isnan().any()
    assert grad_z[:, 1].isnan().any()
    assert not grad_z[:, [0, 2]].isnan().any()
    assert all(taken)


def test_it_executes_as_many_multiply_accumulates(monkeypatch):
    tensors, rest = operands((5, 9, 9, 4), 3, (8, 8))
    counts = []
    for by_image in (True, False):
        monkeypatch.setattr(operator, "goes_by_image", lambda *arguments, by_image=by_image: by_image)
        with recording(images=3) as executed:
            operator.run_stage(*tensors, None, None, *rest)
        counts.append((executed.macs, executed.launches))
    assert counts[0] == counts[1]
    assert counts[0][0] == 64 * sum(source.numel() for source in rest[1])


def test_where_it_is_not_used():
    """Images that depend on each other, rows of broken vectors, smaller maps later on, too many states."""
    tensors, rest = operands((5, 9, 4), 3, (8, 8))
    z, weight, scale, shift, kernel = tensors
    index, (sizes, targets) = rest[:3], rest[3:5]
    parameters = Parameters(scale, shift, kernel)
    stage = operator._stage_pass(
        z, weight, parameters, index, (sizes, targets), 1, 0, "instance", 1e-5, "native"
    )
    assert goes_by_image(stage, z, sizes)
    assert not goes_by_image(replace(stage, norm="batch"), z, sizes)
    assert not goes_by_image(replace(stage, norm="fixed"), z, sizes)
    assert not goes_by_image(replace(stage, stride=2), z, sizes)
    assert not goes_by_image(stage, torch.randn(5, 3, 8, 7), sizes)
    assert not goes_by_image(stage, torch.randn(5, 3, 64, 32), (5, 900, 4))
    assert not goes_by_image(stage, torch.randn(5, 3, 64, 40), sizes)
    others = operands((5, 9, 4), 3, (8, 8), backend="csr")
    with pytest.MonkeyPatch.context() as patch:
        both(others, patch, expected=False)
