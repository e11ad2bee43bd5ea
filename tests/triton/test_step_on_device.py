"""A training step as a GPU sees it, on tensors without values: what reads one, on the host, fails.

torch's device "meta" stands for the GPU: it knows shapes and number formats only. In the place of kernels
stands what looks at the numbers that they are launched with, in the sizes of the ImageNet networks.
"""

from __future__ import annotations

import importlib.util

import pytest
import torch
import torch.nn.functional as F

from dnw_graph.message_passing import stage_index, stage_operator
from dnw_graph.message_passing import triton as backend
from dnw_graph.models import whole_stage
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static

pytestmark = pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="triton is not installed")


BODY = stage_operator.stage._init_fn


class Launches:
    """In the place of one kernel."""

    def __init__(self, name, seen):
        self.name, self.seen = name, seen

    def __getitem__(self, grid):
        def launch(*arguments, **constants):
            self.seen.add(self.name)
            assert len(grid) == 1
            # Kernels count programs, rows and columns in 32 bits, and one row's elements.
            assert 0 < grid[0] < 2**31
            for each in arguments:
                if isinstance(each, torch.Tensor):
                    assert each.is_meta
                    assert each.is_contiguous()
                else:
                    assert 0 <= each < 2**31

        return launch


class Copied:
    """In the place of a copy to the host that is still under way."""

    def tolist(self):
        raise AssertionError("the host waits for the device")


class Stage(torch.autograd.Function):
    """The body of the operator: on "meta" torch would call its stand-in instead."""

    @staticmethod
    def forward(ctx, *arguments):
        out = BODY(*arguments)
        stage_operator._setup_context(ctx, arguments, out)
        return out

    @staticmethod
    def backward(ctx, *gradients):
        found = stage_operator._backward(ctx, *gradients)
        return tuple(None if isinstance(each, list) else each for each in found)


@pytest.fixture
def launched(monkeypatch):
    """The names of all kernels that were launched."""
    from dnw_graph.message_passing.backend import _BACKENDS
    from dnw_graph.node_operation import triton as node_operation
    from dnw_graph.triton import messages

    seen = set()
    for module, names in (
        (node_operation, ("statistics", "combine", "forward", "backward")),
        (messages, ("weighted_rows", "products_of_rows")),
    ):
        for name in names:
            monkeypatch.setattr(module, f"{name}_kernel", Launches(name, seen))
    monkeypatch.setattr(_BACKENDS["triton"], "_reason", None)
    monkeypatch.setattr(backend.availability, "refusal", lambda device, dtype: None)
    kernels = node_operation.TritonNodeKernels()
    monkeypatch.setattr(stage_operator, "node_kernels", lambda device, dtype, spec: kernels)
    body = stage_operator.stage_backward._init_fn
    monkeypatch.setattr(stage_operator, "stage_backward", body)
    monkeypatch.setattr(stage_operator, "stage", Stage.apply)
    monkeypatch.setattr(whole_stage, "_dtypes_fit", lambda wired, z: True)
    tables, to = stage_index._rows_on, torch.Tensor.to
    monkeypatch.setattr(
        stage_index,
        "_rows_on",
        lambda blocks, device: tuple(each.to("meta") for each in tables(blocks, torch.device("cpu"))),
    )

    def copying(tensor, *arguments, **options):
        started = tensor.is_meta and arguments[:1] == ("cpu",) and options == {"non_blocking": True}
        return Copied() if started else to(tensor, *arguments, **options)

    monkeypatch.setattr(torch.Tensor, "to", copying)
    return seen


def mobilenet(**options):
    return mobilenet_v1(rule="top_k", num_classes=1000, image_size=224, width=0.225, **options)


def tiny():
    return tiny_static(rule="top_k", num_classes=10, edges=32000)


@pytest.mark.parametrize("name", ["triton", "dense"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize(
    ("make", "images"),
    [(mobilenet, 256), (lambda: mobilenet(small=True), 1), (tiny, 512)],
    ids=["large", "small classifier", "tiny"],
)
def test_no_step_reads_a_value_or_leaves_the_range_of_a_kernel(launched, make, images, half, name):
    torch.manual_seed(0)
    model = make().to("meta").train()
    for _, stage in model.wired_stages():
        stage.backend = name
    if half:
        # What autocast makes of the stem's output.
        model.stem.register_forward_hook(lambda module, given, z: z.bfloat16())
        model.head.register_forward_pre_hook(lambda module, given: (given[0].float(),))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for step in range(2):
        optimizer.zero_grad()
        logits = model(torch.empty(images, 3, model.image_size, model.image_size, device="meta"))
        F.cross_entropy(logits, torch.zeros(images, dtype=torch.int64, device="meta")).backward()
        optimizer.step()
        assert model.rewire(step + 1).is_meta
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert {"statistics", "forward", "backward"} <= launched
    assert ("weighted_rows" in launched) == (name == "triton")
