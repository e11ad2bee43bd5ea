"""What the engine keeps between calls, operations and threads never shows in the logits."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import dnw_graph as dg
from dnw_graph.engine.engine import Plan
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.native import library

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)


@pytest.fixture(autouse=True)
def one_thread_again():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def network(side, **options):
    torch.manual_seed(0)
    settings = {"rule": "random", "num_classes": 3, "image_size": side, "density": 0.5}
    model = mobilenet_v1(**(settings | {"blocks": ((8, 12, 1, 1), (12, 10, 2, 2))} | options))
    return dg.compile(model.eval(), "csr")


def plan(compiled, height, width, **options):
    """images → logits"""
    made = Plan(compiled.tables((3, height, width), **options), 3)
    return lambda images: torch.from_numpy(made.run(images.numpy(), torch.get_num_threads())[0])


@pytest.mark.parametrize("strip_rows", [1, 2, 3])
@pytest.mark.parametrize("side", [8, 24, 40, 56, 72])
def test_what_a_node_operation_left_is_not_seen_by_the_stem(side, strip_rows):
    """Both work in one scratch, strip after strip; maps are as wide as whole vectors."""
    compiled = network(32)
    apart, fused = plan(compiled, side, side, fused_stages=0), plan(compiled, side, side, fused_stages=1)
    other = plan(compiled, side, side, fused_stages=1, strip_rows=strip_rows)
    for threads in (1, 2):
        torch.set_num_threads(threads)
        for _ in range(2):
            images = torch.randn(1, 3, side, side)
            expected = apart(images)
            assert torch.equal(fused(images), expected)
            assert torch.equal(other(images), expected)


@pytest.mark.parametrize(("height", "width"), [(24, 300), (300, 24), (17, 131), (1, 64), (64, 1)])
def test_images_that_are_not_square(height, width):
    compiled = network(32)
    images = torch.randn(3, 3, height, width)
    for fused in (0, 1, 2):
        found = plan(compiled, height, width, fused_stages=fused)(images)
        torch.testing.assert_close(found, compiled(images), rtol=2e-5, atol=2e-5)


def test_batches_that_grow_and_shrink():
    compiled = network(24)
    runs, images = plan(compiled, 24, 24), torch.randn(9, 3, 24, 24)
    torch.set_num_threads(1)
    expected = torch.cat([runs(image) for image in images.split(1)])
    torch.set_num_threads(3)
    for count in (1, 2, 7, 1, 3, 9, 4):
        assert torch.equal(runs(images[:count]), expected[:count])


def test_a_team_smaller_than_asked_for():
    """More threads than there can be: nobody works in the arena of another."""
    script = (
        "import torch, dnw_graph as dg\n"
        "from dnw_graph.models.mobilenet_v1 import mobilenet_v1\n"
        "options = {'rule': 'random', 'num_classes': 3, 'image_size': 8, 'density': 0.5}\n"
        "model = mobilenet_v1(blocks=((4, 5, 1, 1),), **options)\n"
        "network, images = dg.compile(model.eval(), 'native'), torch.randn(257, 3, 64, 64)\n"
        "torch.set_num_threads(1)\n"
        "expected = network(images)\n"
        "torch.set_num_threads(300)\n"
        "assert torch.equal(network(images), expected)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
