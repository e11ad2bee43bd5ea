"""Wired networks: what they compute, how they are saved, and what never happens in a forward pass."""

from __future__ import annotations

import copy
import io

import numpy as np
import pytest
import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors

from dnw_graph.errors import InputError
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static

BLOCKS = ((3, 5, 1, 3), (5, 4, 2, 2), (4, 6, 2, 1))


def tiny(**options):
    settings = {"rule": "top_k", "num_classes": 4, "groups": (3, 5, 5), "readout": 4, "stem_channels": 2}
    return tiny_static(**(settings | {"edges": 30} | options))


def mobilenet(**options):
    settings = {"rule": "top_k", "num_classes": 4, "image_size": 32, "width": 0.7, "blocks": BLOCKS}
    return mobilenet_v1(**(settings | options))


BUILDERS = {
    "tiny": tiny,
    "mobilenet": mobilenet,
    "small": lambda **options: mobilenet(small=True, **options),
    "random": lambda **options: mobilenet(rule="random", **options),
}
builders = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)


def images(count=2, side=32):
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(5))


def shake(model):
    """Other weights, norms and statistics than those at birth."""
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.2)
    for _, stage in model.wired_stages():
        with torch.no_grad():
            stage.weight.sub_(0.7)
    model.rewire()
    return model


# What is computed: a plain evaluator


def evaluate_node_by_node(model, batch):
    """States of the last level [C, B, H, W], from the wiring's data and each node's norm and kernel."""
    data = model.wiring_data()
    node = data.nodes
    source, target, weight = (data.edges[name].numpy() for name in ("source", "target", "weight"))
    with torch.no_grad():
        stem = model.stem(batch).transpose(0, 1).numpy()
    norms = [operation.norm for operation in model.body.operations]
    kernels = np.concatenate([operation.kernel.detach().numpy() for operation in model.body.operations])
    state, sent = {}, {}
    for v in range(len(node["level"])):
        side = node["resolution"][v]
        state[v] = stem[v] if v < len(stem) else np.zeros((len(batch), side, side))
        if node["carry"][v] >= 0:
            state[v] = state[v] + state[node["carry"][v]]
        for edge in np.flatnonzero(target == v):
            state[v] = state[v] + weight[edge] * sent[source[edge]]
        if v < len(kernels):
            active = np.maximum(normalise(state[v], norms[node["level"][v]], node["channel"][v]), 0)
            sent[v] = convolve(active, kernels[v, 0], node["stride"][v])
    last = node["level"] == node["level"].max()
    return np.stack([state[v] for v in np.flatnonzero(last)])


def normalise(z, norm, channel):
    if hasattr(norm, "running_mean"):
        mean, variance = norm.running_mean[channel].item(), norm.running_var[channel].item()
    else:
        mean, variance = z.mean(axis=(1, 2), keepdims=True), z.var(axis=(1, 2), keepdims=True)
    scale, shift = norm.weight[channel].item(), norm.bias[channel].item()
    return (z - mean) / np.sqrt(variance + norm.eps) * scale + shift


def convolve(x, kernel, stride):
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    height, width = x.shape[1:]
    taps = [
        kernel[dy, dx] * padded[:, dy : dy + height : stride, dx : dx + width : stride]
        for dy in range(3)
        for dx in range(3)
    ]
    return sum(taps)


@builders
def test_equals_a_plain_evaluator_of_the_graph(build):
    model = shake(build().double()).eval()
    batch = images().double()
    with torch.no_grad():
        z = model.body(model.stem(batch).transpose(0, 1).contiguous())
    np.testing.assert_allclose(z.numpy(), evaluate_node_by_node(model, batch), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("side", [33, 47, 70, 97])
def test_odd_image_sizes(side):
    """The stem halves images of more than 64 pixels; every halving rounds up."""
    model = shake(mobilenet(image_size=side).double()).eval()
    batch = images(side=side).double()
    with torch.no_grad():
        z = model.body(model.stem(batch).transpose(0, 1).contiguous())
    expected = evaluate_node_by_node(model, batch)
    assert z.shape[2] == model.wiring_data().nodes["resolution"][-1]
    np.testing.assert_allclose(z.numpy(), expected, rtol=1e-10, atol=1e-10)
    assert model(batch).shape == (2, 4)


@builders
def test_stem_body_and_head_make_the_network(build):
    model, batch = shake(build()).eval(), images()
    z = model.body(model.stem(batch).transpose(0, 1).contiguous())
    torch.testing.assert_close(model.head(z.transpose(0, 1)), model(batch))


@builders
def test_a_batch_is_its_images_one_by_one(build):
    model, batch = shake(build()).eval(), images(3)
    with torch.no_grad():
        alone = torch.cat([model(batch[n : n + 1]) for n in range(3)])
        torch.testing.assert_close(model(batch), alone)


def test_logits_of_the_nine_nodes_by_hand(nine_nodes):
    """z = 8, -6, 0 everywhere; the head's norm changes nothing; relu: 8, 0, 0; logit = 0.5·8 + 1, -1·8."""
    head = nine_nodes.head
    with torch.no_grad():
        head.norm.running_var.fill_(1 - head.norm.eps)
        head.linear.weight.copy_(torch.tensor([[0.5, 9.0, 9.0], [-1.0, 9.0, 9.0]]))
        head.linear.bias.copy_(torch.tensor([1.0, 0.0]))
        stem = torch.tensor([2.0, 7.0]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8).contiguous()
        logits = head(nine_nodes.body(stem).transpose(0, 1))
    assert logits.tolist() == [pytest.approx([5.0, -8.0])]


def test_tiny_head_reads_the_four_pixels_of_rows_and_columns_2_and_3():
    head = tiny().head
    z = torch.zeros(1, 4, 8, 8)
    z[:, :, 2:4, 2:4] = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    torch.testing.assert_close(head(z), head.linear(torch.full((1, 4), 3.0)))


def test_tiny_refuses_images_that_its_head_would_misread():
    with pytest.raises(InputError, match=r"of shape \[\d, 3, 64, 64\], .*; resize them to 32×32 pixels"):
        tiny()(images(side=64))
    with pytest.raises(InputError, match=r"model\.image_size 64: tiny_static reads 8×8 maps; use 32"):
        tiny(image_size=64)


# When the wiring changes, and when not


@builders
def test_a_forward_pass_never_rewires(build):
    model = build()
    before = {name: ids.clone() for name, ids in model.wirings().items()}
    for stage in model.body.stages:
        with torch.no_grad():
            stage.weight.neg_().add_(1)
    model.train()(images())
    model.eval()(images())
    assert all(torch.equal(ids, before[name]) for name, ids in model.wirings().items())


def test_rewiring_selects_the_strongest_of_every_stage():
    model = mobilenet(small=True)
    with torch.no_grad():
        for _, stage in model.wired_stages():
            stage.weight.copy_(torch.arange(stage.weight.numel()))
    assert model.rewire() > 0
    for name, stage in model.wired_stages():
        size, k = stage.weight.numel(), stage.budget
        assert model.wirings()[name].tolist() == list(range(size - k, size)), name
    assert list(model.wirings()) == ["stage_0", "stage_1", "stage_2", "head"]


def test_weights_and_wiring_follow_from_the_seed_alone():
    def born(seed):
        torch.manual_seed(0)
        return mobilenet(small=True, seed=seed)

    first, again, other = born(1), born(1), born(2)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.body.stages[0].weight, other.body.stages[0].weight)


def test_candidate_weights_start_within_the_scaled_range():
    """Stage 0 has 3 + 5 + 5 sources."""
    for scale in (1.0, 0.25):
        weight = mobilenet(weight_scale=scale).body.stages[0].weight.detach().abs()
        bound = scale / 13**0.5
        assert bound * 0.9 < weight.max() <= bound


def test_nan_names_the_stage():
    model = mobilenet()
    with torch.no_grad():
        model.body.stages[1].weight[3] = float("nan")
    with pytest.raises(FloatingPointError, match=r"parameter stage_1\.weight holds NaN"):
        model.rewire()


# Saving and copying


@builders
def test_state_dict_round_trip(build):
    model, other = shake(build()).eval(), build(seed=9).eval()
    other.load_state_dict(load_safetensors(save_safetensors(model.state_dict())))
    assert torch.equal(other(images()), model(images()))
    assert all(torch.equal(ids, other.wirings()[name]) for name, ids in model.wirings().items())


def test_state_dict_with_another_number_of_edges_brings_its_wiring():
    model, other = shake(mobilenet(width=0.9)).eval(), mobilenet(width=0.4).eval()
    other(images())
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(images()), model(images()))
    assert other.wirings()["stage_0"].numel() == model.wirings()["stage_0"].numel()


@pytest.mark.parametrize(
    "ids",
    [
        torch.tensor([0, 10_000]),
        torch.tensor([-1, 3]),
        torch.tensor([3, 3]),
        torch.tensor([4, 3]),
        torch.tensor([0.0, 1.0]),
        torch.tensor([[0, 1]]),
    ],
    ids=["out of range", "negative", "twice", "descending", "floats", "two dimensions"],
)
def test_ids_that_are_no_wiring_are_refused_before_anything_reads_them(ids):
    model = mobilenet()
    state = model.state_dict() | {"body.stages.0.selected": ids}
    with pytest.raises(RuntimeError, match=r"body\.stages\.0\.selected is no wiring of \d+ candidates"):
        model.load_state_dict(state)
    model(images())


def test_a_wiring_of_no_edge_can_be_loaded():
    model = mobilenet()
    model.load_state_dict(model.state_dict() | {"body.stages.0.selected": torch.empty(0, dtype=torch.int64)})
    assert model.eval()(images()).isfinite().all()


@builders
def test_a_deep_copy_is_the_same_and_independent(build):
    model = shake(build()).eval()
    model(images())
    twin = copy.deepcopy(model)
    expected = model(images())
    assert torch.equal(twin(images()), expected)
    with torch.no_grad():
        for _, stage in twin.wired_stages():
            stage.weight.neg_().add_(0.5)
    twin.rewire()
    assert torch.equal(model(images()), expected)
    assert twin.body.stages[0].weight is not model.body.stages[0].weight


@builders
def test_float64_is_the_same_network(build):
    model = shake(build()).eval()
    expected = model(images())
    torch.testing.assert_close(model.double()(images().double()).float(), expected, rtol=1e-4, atol=1e-4)
    assert all(ids.dtype == torch.int64 for ids in model.wirings().values())


@pytest.mark.needs_dgl
@builders
def test_backends_give_the_same_logits(build, passing_by):
    model = shake(build()).eval()
    logits = {}
    for name in ("dense", "csr", "dgl", "auto"):
        logits[name] = passing_by(name, model)(images())
    for name in ("csr", "dgl", "auto"):
        torch.testing.assert_close(logits[name], logits["dense"], rtol=1e-4, atol=1e-4)


@builders
def test_no_image_gives_no_logits(build):
    assert build().eval()(images(0)).shape == (0, 4)


def test_a_network_can_be_saved_whole_by_torch():
    model = shake(mobilenet()).eval()
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    other = mobilenet(seed=3).eval()
    other.load_state_dict(torch.load(buffer, weights_only=True))
    assert torch.equal(other(images()), model(images()))


@builders
def test_a_step_of_sgd_lowers_the_loss(build):
    model, batch, labels = build().train(), images(8), torch.arange(8) % 4
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
    losses = []
    for step in range(8):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(batch), labels)
        loss.backward()
        optimiser.step()
        model.rewire(step + 1)
        losses.append(loss.item())
    assert losses[-1] < losses[0]
