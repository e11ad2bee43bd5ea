"""A stage as one operator against the same stage level by level, forward and backward."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.schedule import Schedule
from dnw_graph.message_passing import backends, stage_pass
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.message_passing.stage_operator import refusal, run_stage, stage
from dnw_graph.message_passing.stage_pass import NodeParameters
from dnw_graph.message_passing.stage_spec import StageSpec
from dnw_graph.models import body as body_module
from dnw_graph.models import whole_stage
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.models.whole_stage import run_as_one

BACKENDS = ["dense", "csr", "dgl", "native"]


def tiny(backend, rule="top_k", **options):
    return tiny_static(
        rule=rule,
        num_classes=3,
        groups=(3, 5, 6),
        readout=4,
        stem_channels=2,
        backend=backend,
        **{"edges": 40, **options},
    )


def chain(backend, rule="top_k", **options):
    return mobilenet_v1(
        rule=rule,
        num_classes=3,
        image_size=32,
        blocks=((3, 5, 1, 1), (5, 6, 2, 3), (6, 7, 2, 1)),
        backend=backend,
        **{"density": 0.4, **options},
    )


def step(model, images):
    """Loss, gradients and buffers after one training step's backward."""
    model.zero_grad(set_to_none=True)
    logits = model(images)
    loss = F.cross_entropy(logits, torch.arange(len(images)) % 3)
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return logits.detach(), gradients, {name: b.clone() for name, b in model.named_buffers()}


def both(model, images, monkeypatch):
    """The same step as one operator per stage, and level by level."""
    state = {name: value.clone() for name, value in model.state_dict().items()}
    whole = step(model, images)
    model.load_state_dict(state)
    with monkeypatch.context() as patch:
        patch.setattr(body_module, "refusal", lambda *args: "tested so")
        return whole, step(model, images)


def assert_same(one, other, rtol):
    logits, gradients, buffers = one
    torch.testing.assert_close(logits, other[0], rtol=rtol, atol=rtol)
    assert gradients.keys() == other[1].keys()
    for name, gradient in gradients.items():
        largest = max(1e-3, float(other[1][name].abs().max()))
        torch.testing.assert_close(gradient, other[1][name], rtol=rtol, atol=rtol * largest, msg=name)
    for name, buffer in buffers.items():
        torch.testing.assert_close(buffer, other[2][name], rtol=rtol, atol=rtol, msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [tiny, chain])
@pytest.mark.parametrize("rule", ["top_k", "random"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_whole_stage_is_its_levels_one_by_one(backend, make, rule, training, monkeypatch):
    usable(backend)
    torch.manual_seed(1)
    model = make(backend, rule).train(training)
    assert_same(*both(model, torch.randn(5, 3, 32, 32), monkeypatch), rtol=2e-4)


def usable(name):
    """Skip where the backend cannot be used, as native without a compiler."""
    if reason := next(backend.reason() for backend in backends() if backend.name == name):
        pytest.skip(reason)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 11),
    st.sampled_from([0.02, 0.2, 0.7, 1.0]),
    st.sampled_from(["dense", "csr"]),
    st.integers(0, 1000),
)
def test_random_wirings_in_float64(images, density, backend, seed):
    """Also nodes and whole levels without an edge."""
    torch.manual_seed(seed)
    model = chain(backend, "random", density=density, seed=seed).double()
    with pytest.MonkeyPatch.context() as patch:
        assert_same(*both(model, torch.randn(images, 3, 32, 32).double(), patch), rtol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("make", [tiny, chain])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_a_batch_in_parts_is_the_whole_batch(backend, make, training, monkeypatch):
    """Parts of 2 images, the last of 1; a batch norm in training takes them all at once."""
    usable(backend)
    monkeypatch.setattr(stage_pass, "_PART_BYTES", 1)
    monkeypatch.setattr(stage_pass, "_LANES", 2)
    of_maps = StageSpec(Schedule((3, 4), (4,)), NodeSpec("instance"), False, "candidates", 5, 1.0, backend)
    assert len(stage_pass.image_parts(5, 100, of_maps, torch.device("cpu"))) == 3
    torch.manual_seed(1)
    model = make(backend).train(training)
    assert_same(*both(model, torch.randn(5, 3, 32, 32), monkeypatch), rtol=2e-4)
    monkeypatch.setattr(WiredStage, "gradient_plan", lambda self, batch: (3, 2.0))
    assert_same(*both(model, torch.randn(5, 3, 32, 32), monkeypatch), rtol=2e-4)


def test_a_stage_without_an_edge_sends_nothing_and_learns_all_the_same():
    model = tiny("dense")
    stage = model.body.stages[0]
    stage.select(torch.empty(0, dtype=torch.int64))
    z = torch.randn(3, 2, 8, 8, requires_grad=True)
    out = model.body(z)
    assert out.shape == (4, 2, 8, 8)
    out.square().sum().backward()
    assert stage.weight.grad is not None
    assert stage.weight.grad.shape == stage.weight.shape
    # A readout node starts from its twin in the last group, and nobody sends to that.
    assert not out.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_candidates_far_from_the_wiring_get_their_gradient(backend, monkeypatch):
    """Every candidate, selected or not: by finite differences of a stage in which all of them ran."""
    usable(backend)
    torch.manual_seed(0)
    model = tiny(backend)
    stage = model.body.stages[0]
    z = torch.randn(3, 2, 8, 8)
    target = torch.randn(4, 2, 8, 8)
    (gradient,) = torch.autograd.grad((model.body(z) * target).sum(), [stage.weight])
    assert torch.count_nonzero(gradient) > stage.selected.numel()
    unselected = torch.ones(stage.weight.numel(), dtype=torch.bool)
    unselected[stage.selected] = False
    # Nodes that hear nothing are left out: their norm makes a leap of the first whisper.
    _, ends = (torch.from_numpy(end) for end in stage.stage.ends(stage.selected.numpy()))
    _, all_ends = (torch.from_numpy(end) for end in stage.stage.ends(range(unselected.numel())))
    tried = torch.nonzero(unselected & torch.isin(all_ends, ends)).squeeze(1)[::3]
    assert tried.numel() >= 10
    double = tiny("dense").double()
    double.load_state_dict(model.state_dict())
    wired = double.body.stages[0]
    for edge in tried.tolist():
        # Let the edge run with a weight around 0, which is what "not selected" means.
        losses = []
        for nudge in (-1e-4, 1e-4):
            with torch.no_grad():
                wired.weight.copy_(stage.weight)
                wired.weight[edge] = nudge
            wired.select(torch.cat([stage.selected, torch.tensor([edge])]).sort().values)
            losses.append((double.body(z.double()) * target).sum())
        slope = (losses[1] - losses[0]).item() / 2e-4
        assert float(gradient[edge]) == pytest.approx(slope, rel=2e-2, abs=2e-2)


def test_what_listens_between_the_levels_is_heard():
    """Hooks on node operations, odd norms and mixed precision take the way of one level after the other."""
    model = chain("dense")
    stage = model.body.stages[1]
    operations = [model.body.operations[level.index] for level in stage.stage.levels[:-1]]
    z = torch.randn(5, 2, 16, 16)
    assert whole_stage.refusal(stage, operations, z) is None
    assert whole_stage.refusal(stage, operations, z.double()) is not None
    assert whole_stage.refusal(stage, operations, z[:, :0]) is not None
    with torch.autocast("cpu", torch.bfloat16):
        assert whole_stage.refusal(stage, operations, z) is not None
    heard = []
    handle = operations[0].register_forward_hook(lambda *args: heard.append(args[0]))
    assert whole_stage.refusal(stage, operations, z) is not None
    model(torch.randn(2, 3, 32, 32))
    assert heard
    handle.remove()
    assert whole_stage.refusal(stage, operations, z) is None


def test_no_gradient_is_kept_for_weights_that_do_not_learn():
    model = tiny("dense")
    stage = model.body.stages[0]
    stage.weight.requires_grad_(False)
    z = torch.randn(3, 2, 8, 8, requires_grad=True)
    model.body(z).sum().backward()
    assert stage.weight.grad is None
    assert z.grad is not None


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("level_by_level", [False, True])
def test_a_part_of_the_batch_for_unselected_edges_and_all_of_it_for_the_others(
    backend, level_by_level, monkeypatch
):
    """factor · the gradient of a loss that only the first images have; selected edges learn from all."""
    usable(backend)
    if level_by_level:
        monkeypatch.setattr(body_module, "refusal", lambda *args: "tested so")
    torch.manual_seed(0)
    model = tiny(backend)
    stage = model.body.stages[0]
    z, target = torch.randn(3, 6, 8, 8), torch.randn(4, 6, 8, 8)

    def gradient(images):
        share = torch.zeros(6, 1, 1)
        share[:images] = 1
        return torch.autograd.grad((model.body(z) * target * share).sum(), [stage.weight])[0]

    whole, part = gradient(6), gradient(2)
    monkeypatch.setattr(type(stage), "gradient_plan", lambda self, batch: (2, 3.0))
    expected = 3 * part
    expected[stage.selected] = whole[stage.selected]
    torch.testing.assert_close(gradient(6), expected, rtol=1e-4, atol=1e-3)
    # The whole batch, every third step: selected edges still get their gradient once.
    monkeypatch.setattr(type(stage), "gradient_plan", lambda self, batch: (6, 3.0))
    expected = 3 * whole
    expected[stage.selected] = whole[stage.selected]
    torch.testing.assert_close(gradient(6), expected, rtol=1e-4, atol=1e-3)
    monkeypatch.setattr(type(stage), "gradient_plan", lambda self, batch: (0, 1.0))
    expected = torch.zeros_like(whole)
    expected[stage.selected] = whole[stage.selected]
    torch.testing.assert_close(gradient(6), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("make", [tiny, chain])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_half_floats_beside_float32_parameters(make, training, monkeypatch):
    """What autocast gives on a GPU; statistics and parameters' gradients stay float32."""
    torch.manual_seed(2)
    model = make("dense").train(training)
    stage = model.body.stages[0]
    operations = [model.body.operations[level.index] for level in stage.stage.levels[:-1]]
    z = torch.randn(3, 6, 8, 8)
    exact = run_as_one(stage, operations, z)
    half = run_as_one(stage, operations, z.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), exact, rtol=0.1, atol=0.1 * float(exact.detach().abs().max()))
    half.float().square().sum().backward()
    learned = [stage.weight, *(p for operation in operations for p in operation.parameters())]
    assert {p.grad.dtype for p in learned} == {torch.float32}
    assert all(p.grad.isfinite().all() for p in learned)


def one_stage(activation="relu", norm="instance", kernel_size=3, stride=1, backend="dense", **changes):
    """Operands of a stage of 2, 3 and 2 nodes whose readout starts from the level before, in float64."""
    torch.manual_seed(4)
    blocks = ((5, 2), (2, 3))
    index = [
        EdgeIndex.of_positions(torch.arange(0, targets * sources, 2), targets, sources)
        for targets, sources in blocks
    ]
    parameters = torch.rand(5) + 0.5, torch.randn(5), torch.randn(5, 1, kernel_size, kernel_size)
    tensors = torch.randn(2, 3, 6, 5), torch.randn(16), *parameters
    schedule = Schedule((2, 3, 2), (5, 2), start=2)
    node = NodeSpec(norm, activation, kernel_size, stride, eps=1e-3)
    spec = StageSpec(schedule, node, False, "candidates", 3, 1.0, backend)
    return [each.double().requires_grad_() for each in tensors], index, replace(spec, **changes)


def by_definition(tensors, index, spec, activation):
    """The states of the last level by the equations, node by node in torch's layers."""
    z, weight, scale, shift, kernel = tensors

    def send(z, first, end, stride):
        maps = z.transpose(0, 1)
        normed = F.group_norm(maps, end - first, scale[first:end], shift[first:end], spec.node.eps)
        options = {"stride": stride, "padding": spec.node.kernel_size // 2, "groups": end - first}
        return F.conv2d(activation(normed), kernel[first:end], **options).transpose(0, 1)

    def masked(values, each, shape):
        return torch.zeros_like(values).index_add(0, each.position, values[each.position]).reshape(shape)

    h = send(z, 0, 2, spec.node.stride)
    heard = torch.einsum("ts,sbyx->tbyx", masked(weight[:10], index[0], (5, 2)), h)
    middle, last = heard[:3], heard[3:]
    h = send(middle, 2, 5, 1)
    return last + middle[-2:] + torch.einsum("ts,sbyx->tbyx", masked(weight[10:], index[1], (2, 3)), h)


@pytest.mark.parametrize(
    ("activation", "function"),
    [("relu6", F.relu6), ("hardswish", F.hardswish), ("silu", F.silu), ("identity", lambda x: x)],
)
@pytest.mark.parametrize(("kernel_size", "stride"), [(3, 1), (5, 2)])
def test_any_activation_and_odd_kernel_as_the_equations_say(activation, function, kernel_size, stride):
    tensors, index, spec = one_stage(
        activation, kernel_size=kernel_size, stride=stride, reach="selected", images=0
    )
    z, weight, *parameters = tensors
    out, *_ = run_stage(z, weight, NodeParameters(*parameters), index, spec)
    expected = by_definition(tensors, index, spec, function)
    torch.testing.assert_close(out, expected, rtol=1e-10, atol=1e-10)
    g = torch.randn_like(expected)
    found, wanted = (torch.autograd.grad(each, tensors, g) for each in (out, expected))
    torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-8)


def flat_arguments(tensors, index, spec, statistics=(None, None)):
    parts = ([getattr(each, name) for each in index] for name in ("pointer", "source", "position"))
    return (*tensors, *statistics, *parts, *spec.flat())


@pytest.mark.parametrize("backend", ["dense", "csr"])
@pytest.mark.parametrize("kind", ["instance", "batch", "fixed"])
def test_opcheck_of_a_stage(backend, kind):
    fixed = kind == "fixed"
    norm = "instance" if kind == "instance" else "batch"
    operands = one_stage(norm=norm, backend=backend, fixed=fixed, reach="selected", images=0)
    statistics = (torch.zeros(5).double(), torch.ones(5).double()) if fixed else (None, None)
    torch.library.opcheck(stage, flat_arguments(*operands, statistics))


def test_a_spec_is_what_its_flat_form_says():
    _, _, spec = one_stage("silu", kernel_size=5, stride=2, fixed=True, factor=1.5, images=2)
    assert StageSpec.of(spec.flat()) == spec


@pytest.mark.parametrize("norm", ["affine", "none"])
def test_a_norm_that_a_whole_stage_does_not_run_with_is_refused(norm):
    tensors, index, spec = one_stage(norm=norm)
    z, weight, *parameters = tensors
    assert refusal(spec.node) == f"norm {norm}: a stage runs as a whole with norm batch or instance"
    with pytest.raises(ValueError, match=f"norm {norm}: a stage runs as a whole"):
        run_stage(z, weight, NodeParameters(*parameters), index, spec)
