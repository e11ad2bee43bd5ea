"""The Triton kernels against `dense` in float64; interpreted where there is no GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dnw_graph.message_passing import find_backend, message_passing
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.triton import availability

REASON = availability.reason()
pytestmark = pytest.mark.skipif(REASON is not None, reason=str(REASON))

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# The interpreter cuts bfloat16 off instead of rounding it.
TOLERANCE = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
CASES = {
    "ordinary": {},
    "no edge": {"share": 0.0},
    "every edge": {"share": 1.1, "targets": 3, "sources": 21},
    "targets without edges": {"empty_targets": (0, 3)},
    "sources without edges": {"empty_sources": (1,)},
    "one node each": {"targets": 1, "sources": 1, "share": 1.1},
    "one target": {"targets": 1, "sources": 37, "share": 0.9},
    "one source": {"targets": 5, "sources": 1},
    "one pixel": {"shape": (1, 1, 1)},
    "several tiles of columns": {"shape": (3, 7, 31), "targets": 5, "sources": 6},
    "no image": {"shape": (0, 3, 3)},
}


def on_device(index):
    tensors = {name: getattr(index, name).to(DEVICE) for name in ("pointer", "source", "position")}
    return replace(index, **tensors)


@pytest.fixture(params=TOLERANCE, ids=str)
def dtype(request):
    return request.param


@pytest.fixture
def products(block, dtype):
    """products(case) → for each product, ours and that of `dense` in float64 on the same numbers."""

    def of(**case):
        operands = block(**({"base": False} | case), dtype=dtype)
        index = operands.index
        index = on_device(index)
        h = operands.h.detach().flatten(1).to(DEVICE)
        g = torch.randn(index.num_targets, h.shape[1], generator=torch.Generator().manual_seed(5)).to(h)
        value = operands.weight.detach()[index.position].to(DEVICE)
        results = []
        for name in ("triton", "dense"):
            engine = find_backend(name)
            if name == "dense":
                h, g, value = h.double(), g.double(), value.double()
            results.append(
                {
                    "send": engine.send(index, value, h)[0],
                    "send back": engine.send_back(index, value, [g]),
                    "edge gradient": engine.edge_gradient(index, [g], h),
                }
            )
        return results

    return of


@pytest.mark.parametrize("case", CASES)
def test_products_are_those_of_dense(products, dtype, case):
    ours, expected = products(**CASES[case])
    for name, value in ours.items():
        assert value.dtype == dtype
        assert value.is_contiguous()
        scale = float(expected[name].abs().max()) if expected[name].numel() else 1.0
        tolerance = {"rtol": TOLERANCE[dtype], "atol": TOLERANCE[dtype] * scale}
        torch.testing.assert_close(value.double(), expected[name], **tolerance)


@pytest.mark.parametrize("reach", ["candidates", "selected"])
def test_the_operator_has_the_gradients_of_the_formula(block, reach):
    operands = block(targets=9, sources=7, dtype=torch.float32)
    operands.h, operands.weight, operands.base = (
        each.detach().to(DEVICE).requires_grad_() for each in (operands.h, operands.weight, operands.base)
    )
    index = operands.index
    z, expected = (
        message_passing(
            operands.h,
            operands.weight,
            index.pointer.to(DEVICE),
            index.source.to(DEVICE),
            index.position.to(DEVICE),
            operands.base,
            reach,
            backend,
        )
        for backend in ("triton", "dense")
    )
    torch.testing.assert_close(z, expected, rtol=1e-5, atol=1e-5)
    wanted = (operands.h, operands.weight, operands.base)
    cotangent = torch.randn_like(z)
    ours, theirs = (torch.autograd.grad(each, wanted, cotangent) for each in (z, expected))
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("first", [0, 2, 6])
def test_matrices_may_come_in_two_pieces(block, first):
    """As a stage keeps them: the states between its levels, and its output."""
    operands = block(targets=6, sources=5, dtype=torch.float32, empty_targets=(3,))
    index, sizes = on_device(operands.index), [first, 6 - first]
    h, z = (each.detach().flatten(1).to(DEVICE) for each in (operands.h, operands.base))
    value = operands.weight.detach()[index.position].to(DEVICE)
    engine, dense = find_backend("triton"), find_backend("dense")
    (sent,) = dense.send(index, value, h)
    for add, expected in ((True, z + sent), (False, sent)):
        pieces = [part.clone() for part in z.split(sizes)]
        engine.send(index, value, h, pieces, add=add)
        torch.testing.assert_close(torch.cat(pieces), expected)
        assert torch.equal(torch.cat(pieces)[3], expected[3])
    g = z.split(sizes)
    torch.testing.assert_close(engine.send_back(index, value, g), dense.send_back(index, value, [z]))
    torch.testing.assert_close(engine.edge_gradient(index, g, h), dense.edge_gradient(index, [z], h))


def test_blocks_of_a_stage_by_the_index_of_the_whole():
    """Whose blocks' numbers of edges the host does not know."""
    groups = {"groups": (3, 4, 5), "readout": 2, "stem_channels": 2}
    stage = tiny_static(rule="top_k", num_classes=3, edges=20, **groups).to(DEVICE).body_stages()[0]
    whole, value = stage.stage_index(), stage.weight.detach()[stage.selected]
    engine, dense = find_backend("triton"), find_backend("dense")
    generator = torch.Generator().manual_seed(0)
    before = 0
    for number, (block, index) in enumerate(zip(stage.stage.blocks, stage.indices(), strict=True)):
        h = torch.randn(block.num_sources, 6, generator=generator).to(DEVICE)
        g = torch.randn(block.num_targets, 6, generator=generator).to(DEVICE)
        of_block = value[before : before + index.num_edges]
        before += index.num_edges
        z = torch.ones_like(g)
        mine = whole.block(number)
        engine.send(mine, value, h, z.split([1, len(z) - 1]), add=True)
        torch.testing.assert_close(z, 1 + dense.send(index, of_block, h)[0])
        torch.testing.assert_close(
            engine.send_back(mine, value, g.split([1, len(g) - 1])), dense.send_back(index, of_block, [g])
        )
    assert before == 20


def test_a_number_that_is_none_reaches_the_targets_that_hear_it(block):
    operands = block(targets=4, sources=3, share=1.1, dtype=torch.float32, base=False)
    index = operands.index
    h = operands.h.detach().flatten(1).to(DEVICE)
    h[1, 0] = float("nan")
    value = operands.weight.detach()[index.position].to(DEVICE)
    (z,) = find_backend("triton").send(on_device(index), value, h)
    assert z[:, 0].isnan().all()
    assert z[:, 1:].isfinite().all()


def test_products_are_the_same_from_run_to_run(products):
    first, second = (products(targets=8, sources=9, shape=(2, 9, 9))[0] for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
