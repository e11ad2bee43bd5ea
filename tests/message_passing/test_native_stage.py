"""A stage image by image in the C kernels against the same stage level by level, forward and backward."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import accumulate

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.schedule import Schedule
from dnw_graph.message_passing import EdgeIndex, native_stage, recording
from dnw_graph.message_passing import stage_operator as operator
from dnw_graph.message_passing.stage_pass import NodeParameters
from dnw_graph.message_passing.stage_spec import StageSpec
from dnw_graph.native import library

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)
INSTRUCTIONS = library.supported() if library.reason() is None else ["portable"]


def operands(sizes, images, side, density=0.4, start=0, reaches_last=True, seed=0, backend="native"):
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
    schedule = Schedule(tuple(sizes), tuple(targets), start)
    spec = StageSpec(schedule, NodeSpec("instance"), False, "candidates", images, 1.0, backend)
    return [tensor.requires_grad_() for tensor in tensors], index, spec


def run(tensors, index, spec):
    z, weight, *parameters = tensors
    return operator.run_stage(z, weight, NodeParameters(*parameters), index, spec)


def step(case, g):
    tensors = case[0]
    out, *_ = run(*case)
    return out.detach(), torch.autograd.grad((out * g).sum(), tensors)


@contextmanager
def level_by_level():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operator, "WAYS", ())
        yield


def both(case):
    """Out and gradients of the way by image and of the one by level."""
    tensors, _, spec = case
    g = torch.randn(spec.schedule.sizes[-1], *tensors[0].shape[1:])
    found = step(case, g)
    with level_by_level():
        return found, step(case, g)


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
    starts=st.booleans(),
    reaches_last=st.booleans(),
    threads=st.integers(1, 4),
    instructions=st.sampled_from(INSTRUCTIONS),
    seed=st.integers(0, 99),
)
def test_image_by_image_is_level_by_level(
    sizes, images, side, density, starts, reaches_last, threads, instructions, seed
):
    start = sizes[-1] if starts and sizes[-1] <= sizes[-2] else 0
    case = operands(sizes, images, side, density, start, reaches_last or len(sizes) == 2, seed)
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "instructions", lambda: instructions)
        try:
            torch.set_num_threads(threads)
            found, wanted = both(case)
        finally:
            torch.set_num_threads(before)
    assert_same(found, wanted)


@pytest.mark.parametrize("side", [(8, 8), (3, 16), (5, 24)])
@pytest.mark.parametrize("kinked", [False, True])
def test_it_is_the_stage_in_float64(side, kinked, taken):
    case = tensors, index, spec = operands((6, 17, 9, 5), 5, side, start=5)
    if kinked:
        # The ReLU cuts through the maps; these seeds leave no pixel within rounding of its kink.
        tensors[3].data = 0.5 * torch.randn(len(tensors[3]))
    g = torch.randn(5, 5, *side)
    found = step(case, g)
    exact = [tensor.detach().double().requires_grad_() for tensor in tensors]
    assert taken == ["forward", "backward"]
    wanted = step((exact, index, replace(spec, backend="csr")), g.double())
    for one, other in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


@pytest.fixture
def taken(monkeypatch):
    """What ran image by image so far."""
    calls = []
    for name in ("forward", "backward"):
        original = getattr(native_stage.ImageStage, name)

        def call(self, *arguments, name=name, original=original):
            calls.append(name)
            return original(self, *arguments)

        monkeypatch.setattr(native_stage.ImageStage, name, call)
    return calls


def test_states_in_another_order_of_memory():
    case = tensors, _, _ = operands((6, 9, 5), 3, (8, 8))
    g = torch.randn(5, 3, 8, 8)
    wanted = step(case, g)
    tensors[0] = tensors[0].detach().transpose(0, 1).contiguous().transpose(0, 1).requires_grad_()
    found = step(case, g)
    for one, other in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        assert torch.equal(one, other)


def each_index(name, change):
    return lambda tensors, index: (
        tensors,
        [replace(each, **{name: change(getattr(each, name))}) for each in index],
    )


def a_tensor(place, change):
    return lambda tensors, index: ([*tensors[:place], change(tensors[place]), *tensors[place + 1 :]], index)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (a_tensor(1, lambda weight: weight.double()), "float32 values wanted"),
        (a_tensor(2, lambda scale: scale.double()), "scale: 15 float32 values wanted, not 15 torch.float64"),
        (a_tensor(3, lambda shift: shift[:-1]), "shift: 15 float32 values wanted, not 14"),
        (a_tensor(4, lambda kernel: kernel[:-1]), "kernel: 135 float32 values wanted, not 126"),
        (each_index("pointer", lambda pointer: pointer[:-1]), "pointer of 15 numbers wanted, not 14"),
        (each_index("pointer", lambda p: torch.cat([p, p[-1:]])), "pointer of 15 numbers wanted, not 16"),
        (each_index("pointer", lambda pointer: pointer.flip(0)), "must rise from 0"),
        (each_index("position", lambda position: position[:-1]), "float32 values wanted, one per edge"),
    ],
)
def test_operands_that_do_not_fit_are_refused(change, message):
    tensors, index, spec = operands((6, 9, 5), 3, (8, 8), density=1.0)
    assert native_stage.refusal(spec, tensors[0].shape) is None
    tensors, index = change([tensor.detach() for tensor in tensors], index)
    with pytest.raises(ValueError, match=message):
        run(tensors, index, spec)


def test_a_part_of_the_candidates_gradient_and_parts_of_the_batch(monkeypatch):
    tensors, index, spec = operands((5, 9, 9, 4), 35, (8, 8), start=4)
    monkeypatch.setattr(operator, "image_parts", lambda batch, *args: [slice(0, 11), slice(11, batch)])
    for images, factor in ((35, 1.0), (20, 1.75), (35, 3.0), (0, 1.0)):
        assert_same(*both((tensors, index, replace(spec, images=images, factor=factor))))


def test_no_gradient_to_weights_that_do_not_learn(taken):
    case = tensors, _, _ = operands((5, 9, 4), 3, (8, 8))
    g = torch.randn(4, 3, 8, 8)
    _, wanted = step(case, g)
    tensors[1].requires_grad_(False)
    out, *_ = run(*case)
    learning = [tensor for tensor in tensors if tensor.requires_grad]
    found = torch.autograd.grad((out * g).sum(), learning)
    for one, other in zip(found, [wanted[0], *wanted[2:]], strict=True):
        assert torch.equal(one, other)
    assert taken == 2 * ["forward", "backward"]


def test_nodes_without_an_edge_get_no_gradient_whatever_they_hold(taken):
    case = tensors, _, _ = operands((5, 9, 4), 3, (8, 8), density=0.0)
    with torch.no_grad():
        tensors[0][2, 1, 4, 4] = torch.nan
    out, (grad_z, _, *others) = step(case, torch.ones(4, 3, 8, 8))
    assert taken == ["forward", "backward"]
    assert not any(each.any() for each in (out, grad_z, *others))


def test_a_map_that_is_not_a_number_stays_in_its_image(taken):
    case = tensors, _, _ = operands((5, 9, 4), 3, (8, 8), density=1.0)
    with torch.no_grad():
        tensors[0][2, 1, 4, 4] = torch.nan
    out, (grad_z, *_) = step(case, torch.ones(4, 3, 8, 8))
    assert out[:, 1].isnan().all()
    assert not out[:, [0, 2]].isnan().any()
    assert grad_z[:, 1].isnan().any()
    assert not grad_z[:, [0, 2]].isnan().any()
    assert taken == ["forward", "backward"]


def test_it_executes_as_many_multiply_accumulates():
    case = _, index, _ = operands((5, 9, 9, 4), 3, (8, 8))
    counts = []
    for way in (nullcontext(), level_by_level()):
        with way, recording(images=3) as executed:
            run(*case)
        counts.append((executed.macs, executed.launches))
    assert counts[0] == counts[1]
    assert counts[0][0] == 64 * sum(each.num_edges for each in index)


@pytest.mark.parametrize(
    ("change", "maps", "reason"),
    [
        ({"node": NodeSpec("batch")}, (5, 3, 8, 8), "images depend on each other"),
        ({"node": NodeSpec("batch"), "fixed": True}, (5, 3, 8, 8), "given statistics"),
        ({"node": NodeSpec("instance", stride=2)}, (5, 3, 8, 8), "maps change in size: stride 2"),
        ({"node": NodeSpec("instance", "silu")}, (5, 3, 8, 8), "not silu"),
        ({"node": NodeSpec("instance", kernel_size=5)}, (5, 3, 8, 8), "not 5×5"),
        ({}, (5, 3, 8, 7), "maps are 7 pixels wide, no multiple of 8"),
        ({"schedule": Schedule((5, 900, 4), (904, 4))}, (5, 3, 64, 32), "909 states of 64×32 pixels leave"),
        ({}, (5, 3, 64, 40), "18 states of 64×40 pixels leave"),
        ({"backend": "csr"}, (5, 3, 8, 8), "only backend native"),
    ],
)
def test_where_it_is_not_used_and_why(change, maps, reason):
    *_, spec = operands((5, 9, 4), 3, (8, 8))
    assert operator.reasons(spec, (5, 3, 8, 8))["image by image"] is None
    found = operator.reasons(replace(spec, **change), maps)
    assert list(found) == ["image by image", "level by level"]
    assert reason in found["image by image"]
    assert found["level by level"] is None


def test_another_backend_goes_level_by_level(taken):
    step(operands((5, 9, 4), 3, (8, 8), backend="csr"), torch.ones(4, 3, 8, 8))
    assert taken == []
