"""The C kernels' products in float32: as the definition says, whatever the sizes and threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.errors import InputError
from dnw_graph.message_passing import EdgeIndex, find_backend, message_passing
from dnw_graph.native import library

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)

SHAPES = st.tuples(st.integers(0, 3), st.integers(1, 17), st.integers(1, 17))


@pytest.fixture(autouse=True)
def one_thread_again():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@given(
    targets=st.integers(1, 40),
    sources=st.integers(1, 40),
    share=st.sampled_from([0.0, 0.05, 0.3, 1.1]),
    shape=SHAPES,
    threads=st.integers(1, 5),
    seed=st.integers(0, 9),
)
@settings(max_examples=80, deadline=None)
def test_forward_and_gradients_are_the_formula_s(block, targets, sources, share, shape, threads, seed):
    torch.set_num_threads(threads)
    single = block(targets, sources, share, shape, seed=seed, dtype=torch.float32)
    double = block(targets, sources, share, shape, seed=seed, dtype=torch.float32)
    for reach in ("candidates", "selected"):
        z = single.send("native", reach)
        expected = double.by_definition()
        torch.testing.assert_close(z, expected, rtol=1e-5, atol=1e-5)
        g = torch.randn(z.shape, generator=torch.Generator().manual_seed(seed))
        wanted = [single.h, single.weight, single.base]
        got_h, got_weight, got_base = torch.autograd.grad(z, wanted, g)
        h, weight = torch.autograd.grad(expected, [double.h, double.weight], g)
        full = torch.einsum("tbyx,sbyx->ts", g, double.h).flatten()
        torch.testing.assert_close(got_h, h, rtol=1e-5, atol=1e-4)
        expected_weight = full if reach == "candidates" else weight
        torch.testing.assert_close(got_weight, expected_weight, rtol=1e-4, atol=1e-3)
        assert torch.equal(got_base, g)


def test_the_number_of_threads_changes_no_bit(block):
    operands = block(30, 20, 0.2, (2, 9, 11), dtype=torch.float32)
    results = []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        results.append(operands.send("native"))
    assert all(torch.equal(each, results[0]) for each in results)


def test_calls_from_several_threads_at_once(block):
    torch.set_num_threads(2)
    cases = [block(30, 20, 0.2, (2, 9, 11), seed=seed, dtype=torch.float32) for seed in range(6)]
    expected = [case.send("native") for case in cases]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(20):
            found = list(pool.map(lambda case: case.send("native"), cases))
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"source": [0, 9]}, "source must hold numbers from 0 to 2"),
        ({"source": [0, -1]}, "source must hold numbers from 0 to 2"),
        ({"pointer": [0, 1, 3]}, "pointer must rise from 0 to the 2 edges"),
        ({"pointer": [0, 3, 2]}, "pointer must rise from 0 to the 2 edges"),
        ({"pointer": [1, 1, 2]}, "pointer must rise from 0 to the 2 edges"),
    ],
)
def test_an_index_that_leads_elsewhere_is_refused(change, complaint):
    index = {"pointer": [0, 1, 2], "source": [0, 2]} | change
    pointer, source = torch.tensor(index["pointer"]), torch.tensor(index["source"])
    h, weight = torch.randn(3, 1, 2, 2), torch.randn(6)
    with pytest.raises(ValueError, match=complaint):
        message_passing(h, weight, pointer, source, torch.tensor([0, 5]), None, "selected", "native")


def test_an_index_of_another_type_is_refused():
    h, weight = torch.randn(3, 1, 2, 2), torch.randn(6)
    pointer, source = torch.tensor([0, 1, 2], dtype=torch.int32), torch.tensor([0, 2], dtype=torch.int32)
    with pytest.raises(ValueError, match="pointer must be a contiguous int64 tensor"):
        message_passing(h, weight, pointer, source, torch.tensor([0, 5]), None, "selected", "native")


def test_other_dtypes_are_refused(block):
    with pytest.raises(InputError, match="float32"):
        block().send("native")


def test_an_empty_wiring_gives_zeros():
    index = EdgeIndex.of_positions(torch.empty(0, dtype=torch.int64), 4, 3)
    native = find_backend("native")
    (found,) = native.send(index, torch.empty(0), torch.randn(3, 10))
    assert torch.equal(found, torch.zeros(4, 10))
