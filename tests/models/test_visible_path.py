"""What the fast path of a stage cannot do exactly goes module by module, and the reason is told."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.node_operation import BatchNorm, NodeOperation
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.models.whole_stage import keeps_apart, refusal
from dnw_graph.node_operation.plain import depthwise

IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


class Leaky(NodeOperation):
    """A user's own node operation, derived from ours."""

    def forward(self, z):
        return depthwise(nn.functional.leaky_relu(self.norm(z), 0.3), self.kernel, self.spec.stride)


class Halved(nn.Module):
    def forward(self, weight):
        return weight / 2


class Rounded(BatchNorm):
    def forward(self, z):
        return super().forward(z).round()


def tiny():
    return tiny_static(rule="random", num_classes=3, groups=(4, 6, 6), readout=4, stem_channels=2, edges=25)


def chain():
    return mobilenet_v1(
        rule="random", num_classes=3, image_size=32, density=0.5, blocks=((4, 6, 1, 2), (6, 5, 2, 2))
    )


def subclass(model):
    own = Leaky(model.body.operations[1].kernel.shape[0], model.body.operations[1].spec)
    own.load_state_dict(model.body.operations[1].state_dict())
    model.body.operations[1] = own


def own_norm(model):
    norm = Rounded(model.body.operations[1].kernel.shape[0])
    model.body.operations[1].norm = norm


def parametrized(model):
    parametrize.register_parametrization(model.body.operations[1], "kernel", Halved())


def replaced_forward(model):
    operation = model.body.operations[1]
    operation.forward = lambda z: 2 * NodeOperation.forward(operation, z)


def forward_hook(model):
    model.body.operations[1].register_forward_hook(lambda module, inputs, h: 3 * h)


def other_activation(model):
    operation = model.body.operations[1]
    operation.spec = type(operation.spec)(operation.spec.norm, "silu", 3, operation.spec.stride)


CHANGES = [subclass, own_norm, parametrized, replaced_forward, forward_hook, other_activation]


@pytest.mark.parametrize("build", [tiny, chain])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_module_is_run_and_learns(build, change):
    """The stage's output and gradients are those of its modules, called one by one."""
    torch.manual_seed(0)
    model = build().train()
    change(model)
    wired, body = model.body_stages()[0], model.body
    operations = body.node_operations(wired)
    z = torch.randn(4, 3, 8, 8, requires_grad=True)
    assert refusal(wired, operations, z) is not None
    found = body._run(wired, z)
    expected = body.run_level_by_level(wired, z)
    torch.testing.assert_close(found, expected)
    untouched = build().train()
    untouched.load_state_dict(model.state_dict(), strict=False)
    assert not torch.allclose(untouched.body._run(untouched.body_stages()[0], z), expected, atol=1e-4)
    model(IMAGES).sum().backward()
    assert all(p.grad is not None for p in model.body.operations[1].parameters())


@pytest.mark.parametrize("build", [tiny, chain])
@pytest.mark.parametrize("backwards", ["register_full_backward_hook", "register_full_backward_pre_hook"])
def test_backward_hooks_are_called(build, backwards):
    model, called = build().train(), []
    getattr(model.body.operations[1], backwards)(lambda *args: called.append(len(args)))
    model(IMAGES).sum().backward()
    assert called


@pytest.mark.parametrize("build", [tiny, chain])
def test_hooks_on_all_modules_are_called(build):
    model, called = build(), set()
    handle = nn.modules.module.register_module_forward_hook(lambda module, *args: called.add(module))
    try:
        model(IMAGES)
    finally:
        handle.remove()
    assert called >= {*model.body.operations}
    assert keeps_apart(model.body.node_operations(model.body_stages()[0])) is None


@pytest.mark.parametrize("build", [tiny, chain])
def test_the_reason_is_told_where_a_stage_is_described(build):
    model = build()
    subclass(model)
    ways = model.body.training_paths(model.stem_side, 8)
    assert list(ways["stage_0"].values()) == ["Leaky is not NodeOperation", None]
    assert list(ways["stage_0"]) == ["as one operator", "module by module"]
