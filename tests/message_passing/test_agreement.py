"""dense == csr == dgl == the formula, forward and backward."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.message_passing import EdgeIndex, message_passing

CASES = {
    "ordinary": {},
    "without base": {"base": False},
    "no edge": {"share": 0.0},
    "no edge, no base": {"share": 0.0, "base": False},
    "every edge": {"share": 1.1},
    "targets without edges": {"empty_targets": (0, 3)},
    "sources without edges": {"empty_sources": (1,)},
    "one node each": {"targets": 1, "sources": 1, "share": 1.1},
    "one source": {"targets": 5, "sources": 1},
    "one target": {"targets": 1, "sources": 7},
    "1×1 maps": {"shape": (3, 1, 1)},
    "one pixel": {"shape": (1, 1, 1)},
    "odd sizes": {"shape": (1, 7, 9), "targets": 13, "sources": 11},
    "no image": {"shape": (0, 3, 3)},
    "larger": {"targets": 40, "sources": 30, "share": 0.1, "shape": (2, 4, 4)},
}


def gradients(block, z):
    wanted = [each for each in (block.h, block.weight, block.base) if each is not None]
    cotangent = torch.randn(z.shape, generator=torch.Generator().manual_seed(7), dtype=z.dtype)
    return cotangent, torch.autograd.grad(z, wanted, cotangent)


def expected_weight_gradient(block, g, reach):
    """∂L/∂w_vu = Σ g_v h_u, for every candidate edge or for the selected ones."""
    full = torch.einsum("tbyx,sbyx->ts", g, block.h)
    return (full if reach == "candidates" else full * block.mask).flatten()


@pytest.mark.parametrize("reach", ["candidates", "selected"])
@pytest.mark.parametrize("case", CASES)
def test_backend_agrees_with_the_formula(block, backend, case, reach):
    operands = block(**CASES[case])
    z, expected = operands.send(backend, reach), operands.by_definition()
    assert z.is_contiguous()
    torch.testing.assert_close(z, expected, rtol=1e-12, atol=1e-12)
    g, (h, weight, *base) = gradients(operands, z)
    _, (expected_h, *_) = gradients(operands, expected)
    torch.testing.assert_close(h, expected_h, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(weight, expected_weight_gradient(operands, g, reach), rtol=1e-12, atol=1e-12)
    if base:
        assert torch.equal(base[0], g)


@pytest.mark.needs_dgl
@given(
    targets=st.integers(1, 9),
    sources=st.integers(1, 9),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5)),
    share=st.floats(0, 1),
    base=st.booleans(),
    reach=st.sampled_from(["candidates", "selected"]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_backends_agree_with_each_other(block, targets, sources, shape, share, base, reach, seed):
    operands = block(targets, sources, share, shape, base, seed)
    results = {name: operands.send(name, reach) for name in ("dgl", "csr", "dense")}
    slopes = {name: gradients(operands, z)[1] for name, z in results.items()}
    for name in ("csr", "dense"):
        torch.testing.assert_close(results[name], results["dgl"], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(slopes[name], slopes["dgl"], rtol=1e-12, atol=1e-12)


def test_float32_agrees_within_rounding(block, backend):
    operands = block(targets=50, sources=60, dtype=torch.float32)
    torch.testing.assert_close(operands.send(backend), operands.by_definition(), rtol=1e-5, atol=1e-5)


def test_nine_nodes_by_hand(nine_nodes, passing_by, backend):
    """Stem channels at 2 and 7: z2 = 4, z4 = -4 + 0.5·2 = -3, z5 = 3·1, then
    z6 = (-3 + 5) + 2·3 = 8, z7 = -2·3 = -6, z8 = 0."""
    passing_by(backend, nine_nodes)
    stem = torch.tensor([2.0, 7.0]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8).contiguous()
    z = nine_nodes.body(stem)
    assert z.shape == (3, 1, 4, 4)
    torch.testing.assert_close(z, torch.tensor([8.0, -6.0, 0.0]).reshape(3, 1, 1, 1).expand(3, 1, 4, 4))


def test_a_new_wiring_of_the_same_size_is_not_taken_for_the_old(block, backend):
    """What a backend derives from index tensors belongs to those tensors."""
    operands = block(targets=3, sources=3, share=1.1)
    for ids in ([0, 4, 8], [1, 5, 6], [0, 1, 2], [2, 5, 8]):
        operands.index = EdgeIndex.of_positions(torch.tensor(ids), 3, 3)
        operands.mask = (
            torch.zeros(9, dtype=torch.float64).index_fill_(0, torch.tensor(ids), 1.0).reshape(3, 3)
        )
        z, expected = operands.send(backend), operands.by_definition()
        torch.testing.assert_close(z, expected)
        torch.testing.assert_close(gradients(operands, z)[1][0], gradients(operands, expected)[1][0])


def test_rewiring_a_network_changes_what_is_computed(nine_nodes, passing_by, backend):
    """Node 1 takes over: 1 → 2 with weight 5 displaces 0 → 4; z2 = 5·7 + 2·2 and so on."""
    passing_by(backend, nine_nodes)
    stem = torch.tensor([2.0, 7.0]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8).contiguous()
    nine_nodes.body(stem)
    stage = nine_nodes.body.stages[0]
    with torch.no_grad():
        stage.weight[1] = 5.0
    stage.budget = 4
    assert stage.rewire() == 1
    z = nine_nodes.body(stem)
    # z2 = 39, z4 = -39 → relu(-34) = 0, z5 = 3.
    torch.testing.assert_close(z[:, 0, 0, 0], torch.tensor([6.0, -6.0, 0.0]))


def test_edge_index_lists_edges_by_target():
    """Positions in [3 targets, 4 sources]: rows 0: 1, 3; row 1: none; row 2: 0."""
    index = EdgeIndex.of_positions(torch.tensor([1, 3, 8]), 3, 4)
    assert index.pointer.tolist() == [0, 2, 2, 3]
    assert index.source.tolist() == [1, 3, 0]
    assert (index.num_targets, index.num_sources, index.num_edges) == (3, 4, 3)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"h": torch.ones(2, 3, 3)}, "h must be contiguous"),
        ({"h": torch.ones(3, 2, 4, 4).transpose(0, 1)}, "h must be contiguous"),
        ({"h": torch.ones(3, 1, 2, 2)}, "4 weights do not fit 2 targets × 3 sources"),
        ({"weight": torch.ones(4, dtype=torch.float64)}, "weight is torch.float64 but h is torch.float32"),
        ({"position": torch.tensor([0])}, "2 sources but 1 positions"),
        ({"base": torch.ones(2, 1, 2, 3)}, "but the targets are"),
        ({"reach": "all"}, "reach must be 'candidates' or 'selected', not 'all'"),
        ({"backend": "fast"}, "backend 'fast' is not known; choose auto, csr, dense, dgl"),
    ],
)
def test_operands_that_do_not_fit_are_refused(change, sentence):
    index = EdgeIndex.of_positions(torch.tensor([0, 3]), 2, 2)
    operands = {
        "h": torch.ones(2, 1, 2, 2),
        "weight": torch.ones(4),
        "pointer": index.pointer,
        "source": index.source,
        "position": index.position,
        "base": None,
        "reach": "candidates",
        "backend": "dense",
    }
    with pytest.raises(ValueError) as caught:
        message_passing(**(operands | change))
    assert sentence in str(caught.value)
