"""Torch's own tools on wired networks: what the buffer `selected` holds is what runs, or is refused.

The measure is a fresh network that loads the same state dictionary.
"""

from __future__ import annotations

import copy
import io
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrize, prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn
from torch.utils.checkpoint import checkpoint

import dnw_graph as dg
from dnw_graph.errors import InputError
from dnw_graph.message_passing.dense import Dense
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static

NETWORKS = {
    "tiny": partial(tiny_static, edges=60, groups=(4, 6, 6), readout=4, stem_channels=3),
    "small": partial(mobilenet_v1, image_size=32, width=0.8, small=True, blocks=((3, 5, 1, 1), (5, 6, 2, 3))),
}
IMAGES = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(4) % 3


@pytest.fixture(params=NETWORKS)
def model(request):
    torch.manual_seed(0)
    return NETWORKS[request.param](rule="top_k", num_classes=3)


@pytest.fixture(autouse=True)
def _no_programs_from_before():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def moved(model, seed=1):
    """A copy with other weights and, in every stage, another wiring."""
    other, generator = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=generator)
    other.rewire()
    for name, ids in other.wirings().items():
        assert not torch.equal(ids, model.wirings()[name])
    return other


def tensors(model):
    return [*model.parameters(), *model.buffers()]


def of_same_state(model):
    """The logits of a fresh network that loads what `model` holds, in eval mode."""
    kind = "small" if len(list(model.wired_stages())) > 1 else "tiny"
    fresh = NETWORKS[kind](rule="top_k", num_classes=3)
    fresh.load_state_dict(model.state_dict())
    return fresh.eval()(IMAGES)


def loss(logits):
    return F.cross_entropy(logits, LABELS)


def gradients(model):
    return {name: parameter.grad for name, parameter in model.named_parameters()}


# Writes to the buffer behind the network's back


@pytest.mark.parametrize(
    "write",
    [
        lambda own, other: own.detach().copy_(other),
        lambda own, other: own.data.copy_(other),
        lambda own, other: setattr(own, "data", other.clone()),
        lambda own, other: own.detach().numpy().__setitem__(..., other.detach().numpy()),
    ],
    ids=["in place", "through data", "data replaced", "through NumPy"],
)
def test_a_target_network_copied_by_tensors_runs_its_own_state(model, write):
    other = moved(model)
    model.eval()(IMAGES)
    for own, new in zip(tensors(model), tensors(other), strict=True):
        write(own, new)
    assert torch.equal(model(IMAGES), other.eval()(IMAGES))
    assert torch.equal(model(IMAGES), of_same_state(model))


@pytest.mark.parametrize("use_buffers", [False, True])
def test_averaged_models_run_what_they_hold(model, use_buffers):
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5), use_buffers=use_buffers)
    for seed in range(3):
        average.update_parameters(moved(model, seed))
    update_bn([IMAGES], average)
    if use_buffers:
        # Averages of ids are no choice of anyone.
        average.module.rewire()
    assert torch.equal(average.eval()(IMAGES), of_same_state(average.module))


def test_a_functional_call_runs_the_wiring_it_is_given(model):
    other = moved(model).eval()
    own = model.eval()(IMAGES)
    assert torch.equal(functional_call(model, dict(other.state_dict()), (IMAGES,)), other(IMAGES))
    assert torch.equal(model(IMAGES), own)
    name, stage = next((name, each) for name, each in model.named_modules() if hasattr(each, "selected"))
    fewer = stage.selected[::2].clone()
    got = functional_call(model, {f"{name}.selected": fewer}, (IMAGES,))
    stage.select(fewer)
    assert torch.equal(got, model(IMAGES))


@pytest.mark.parametrize(
    ("ids", "fault"),
    [
        ([3, 1], "its ids do not ascend"),
        ([2, 2], "its ids do not ascend"),
        ([-1, 3], "it holds id -1"),
        ([0, 999_999], "it holds id 999999"),
        ([0.0, 1.0], "it is torch.float32 [2]"),
        ([[0, 1]], "it is torch.int64 [1, 2]"),
    ],
)
def test_what_is_no_wiring_is_refused_in_a_sentence_until_the_rule_chooses(model, ids, fault):
    stage = model.body.stages[0]
    expected = model.eval()(IMAGES)
    stage.selected = torch.tensor(ids)
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            model(IMAGES)
        last = stage.stage.num_candidates - 1
        assert str(caught.value) == (
            f"stage_0 cannot run, for its buffer selected is no wiring: {fault}; int64 ids [k], ascending, "
            f"from 0 to {last} wanted; call rewire() to choose one from the weights"
        )
    model.rewire()
    assert torch.equal(model(IMAGES), expected)


@pytest.mark.parametrize(
    "use",
    [lambda model: model.graph(), lambda model: model.wirings(), dg.count, dg.compile],
    ids=["graph", "wirings", "count", "compile"],
)
def test_no_reader_of_a_wiring_takes_what_is_none(model, use):
    model.eval().body.stages[0].selected -= 1
    with pytest.raises(InputError, match=r"^stage_0 cannot run, .*it holds id -1"):
        use(model)


def test_a_selection_that_is_no_wiring_is_refused_and_changes_nothing(model):
    stage, expected = model.body.stages[0], model.eval()(IMAGES)
    with pytest.raises(InputError, match=r"^stage_0 cannot take the selected ids: its ids do not ascend"):
        stage.select(torch.tensor([2, 1]))
    assert torch.equal(model(IMAGES), expected)


def test_fresh_memory_of_to_empty_is_no_wiring(model):
    model.to("meta").to_empty(device="cpu")
    for buffer in model.buffers():
        buffer.fill_(7)
    with pytest.raises(InputError, match="its ids do not ascend"):
        model(IMAGES)


# Copies


@pytest.mark.parametrize("how", ["deepcopy", "torch.save", "inference mode", "shared memory"])
def test_copies_follow_their_own_buffers(model, how):
    other = moved(model)
    if how == "torch.save":
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        twin = torch.load(file, weights_only=False)
    elif how == "inference mode":
        with torch.inference_mode():
            twin = copy.deepcopy(model)
            twin.load_state_dict(other.state_dict())
    else:
        twin = copy.deepcopy(model)
    if how == "shared memory":
        twin.share_memory()
    expected = model.eval()(IMAGES)
    with torch.inference_mode():
        for own, new in zip(tensors(twin), tensors(other), strict=True):
            own.copy_(new)
        assert torch.equal(twin.eval()(IMAGES), other.eval()(IMAGES))
        assert torch.equal(model(IMAGES), expected)


def test_replicas_of_data_parallel_share_no_index(model):
    stage = model.body.stages[0]
    replica = stage._replicate_for_data_parallel()
    replica.selected = stage.selected[1:].clone()
    assert sum(index.num_edges for index in replica.indices()) == len(stage.selected) - 1
    assert sum(index.num_edges for index in stage.indices()) == len(stage.selected)
    assert torch.equal(nn.DataParallel(model.eval())(IMAGES), model(IMAGES))


# Gradients


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("part", ["network", "body", "visible path"])
def test_gradient_checkpointing_gives_the_same_gradients(model, reentrant, part):
    if part == "visible path":
        model.body.operations[0].register_forward_hook(lambda module, given, out: None)
    twin = copy.deepcopy(model).train()
    loss(twin(IMAGES)).backward()
    model.train()
    if part == "network":
        logits = checkpoint(model, IMAGES.clone().requires_grad_(), use_reentrant=reentrant)
    else:
        z = model.stem(IMAGES).transpose(0, 1).contiguous()
        logits = model.head(checkpoint(model.body, z, use_reentrant=reentrant).transpose(0, 1))
    loss(logits).backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, gradients(twin)[name], msg=name)


@pytest.mark.parametrize("transform", ["grad", "per image", "over images", "over networks"])
def test_transforms_of_torch_func_are_refused_with_the_way_that_works(model, transform):
    model.eval()
    parameters, buffers = dict(model.named_parameters()), dict(model.named_buffers())

    def objective(weights, image, label):
        return F.cross_entropy(functional_call(model, (weights, buffers), (image[None],)), label[None])

    calls = {
        "grad": lambda: grad(objective)(parameters, IMAGES[0], LABELS[0]),
        "per image": lambda: vmap(grad(objective), in_dims=(None, 0, 0))(parameters, IMAGES, LABELS),
        "over images": lambda: vmap(lambda image: model(image[None])[0])(IMAGES),
        "over networks": lambda: vmap(lambda *state: functional_call(model, state, (IMAGES,)))(
            *stack_module_state([model, moved(model)])
        ),
    }
    with pytest.raises(InputError, match=r"^stage_0 cannot run within a transform of torch\.func .*backward"):
        calls[transform]()
    loss(functional_call(model, (parameters, buffers), (IMAGES,))).backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# Reparametrizations


class Twice(nn.Module):
    def forward(self, weight):
        return 2 * weight


def test_a_parametrized_weight_is_the_weight_that_runs_and_learns(model):
    twin = copy.deepcopy(model)
    stage, plain = model.body.stages[0], twin.body.stages[0]
    parametrize.register_parametrization(stage, "weight", Twice())
    with torch.no_grad():
        plain.weight.mul_(2)
    loss(model(IMAGES)).backward()
    loss(twin(IMAGES)).backward()
    original = stage.parametrizations.weight.original
    torch.testing.assert_close(original.grad, 2 * plain.weight.grad)
    with torch.no_grad():
        original -= original.grad
        plain.weight -= 2 * original.grad
    model.rewire()
    twin.rewire()
    assert torch.equal(stage.selected, plain.selected)
    torch.testing.assert_close(model(IMAGES), twin(IMAGES))


def test_pruning_by_hooks_is_refused_with_the_way_that_works(model):
    stage = model.body.stages[0]
    prune.l1_unstructured(stage, "weight", amount=0.5)
    with pytest.raises(
        InputError, match=r"^stage_0\.weight was replaced .*parametrize\.register_parametrization"
    ):
        model(IMAGES)
    prune.remove(stage, "weight")
    assert torch.count_nonzero(stage.weight) == stage.weight.numel() - round(0.5 * stage.weight.numel())
    assert model(IMAGES).isfinite().all()


def test_pruning_a_convolution_masks_it(model):
    operation = model.body.operations[0]
    prune.random_unstructured(operation, "kernel", amount=0.5)
    for _ in range(2):
        loss(model(IMAGES)).backward()
    assert not operation.kernel_orig.grad[operation.kernel_mask == 0].any()
    masked = model.eval()(IMAGES)
    prune.remove(operation, "kernel")
    torch.testing.assert_close(masked, of_same_state(model))


# Norms over several processes


def test_torchs_synchronised_norm_is_refused_in_the_body_and_ours_takes_over():
    model = NETWORKS["small"](rule="top_k", num_classes=3).eval()
    expected = model(IMAGES)
    with pytest.raises(InputError, match=r"call model\.synchronise_norm\(\) .*training\.sync_norm true"):
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
    model.synchronise_norm()
    assert not any(isinstance(each, nn.SyncBatchNorm) for each in model.modules())
    torch.testing.assert_close(model(IMAGES), expected)


def test_a_network_without_batch_norms_in_its_body_takes_torchs_synchronised_norm():
    model = NETWORKS["tiny"](rule="top_k", num_classes=3).eval()
    expected = model(IMAGES)
    assert torch.equal(nn.SyncBatchNorm.convert_sync_batchnorm(model)(IMAGES), expected)


# Programs


@pytest.mark.parametrize("trace", [lambda model: torch.jit.trace(model, IMAGES), torch.fx.symbolic_trace])
@pytest.mark.filterwarnings(r"ignore:`torch\.jit\.trace:DeprecationWarning")
def test_tracers_that_lose_shapes_are_refused_with_the_way_that_works(model, trace):
    with pytest.raises(InputError, match=r"use torch\.export\.export\(model, \(images,\)\)$"):
        trace(model.eval())


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_program_keeps_its_wiring_and_refuses_another(model, strict):
    model.eval()
    program = torch.export.export(model, (IMAGES,), strict=strict).module()
    assert torch.equal(program(IMAGES), model(IMAGES))
    other = moved(model)
    for name, own in program.named_buffers():
        if name.endswith("selected"):
            own.copy_(other.get_buffer(name))
    with pytest.raises(InputError, match=r"^the buffer selected of stage_0 was written in place"):
        program(IMAGES)


def test_make_fx_gives_the_same_numbers(model):
    model.eval()
    assert torch.equal(make_fx(model)(IMAGES)(IMAGES), model(IMAGES))


def test_shapes_are_found_without_values(model):
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert model.eval()(torch.randn(4, 3, 32, 32)).shape == (4, 3)


def test_a_compiled_network_follows_load_state_dict_and_refuses_writes_in_place(model):
    compiled = torch.compile(model.eval(), backend="aot_eager", fullgraph=True)
    compiled(IMAGES)
    model.load_state_dict(moved(model).state_dict())
    assert torch.equal(compiled(IMAGES), of_same_state(model))
    other = moved(model, seed=2)
    for own, new in zip(tensors(model), tensors(other), strict=True):
        own.detach().copy_(new)
    with pytest.raises(
        InputError, match=r"^the buffer selected of stage_0 was written in place.*load_state_dict"
    ):
        compiled(IMAGES)
    model.load_state_dict(model.state_dict())
    assert torch.equal(compiled(IMAGES), other.eval()(IMAGES))


def test_a_compiled_network_that_works_by_stage_follows_writes_in_place(model, monkeypatch):
    """As on a GPU, where the program derives the index of the whole stage itself."""
    monkeypatch.setattr(Dense, "slices", lambda self, device: True)
    for stage in model.body_stages():
        stage.backend = "dense"
    compiled = torch.compile(model.body.eval(), backend="aot_eager", fullgraph=True)
    z, other = model.stem(IMAGES).detach().transpose(0, 1).contiguous(), moved(model)
    for new in (model, other):
        for own, value in zip(tensors(model.body), tensors(new.body), strict=True):
            own.detach().copy_(value)
        torch.testing.assert_close(compiled(z), new.body.eval()(z))
