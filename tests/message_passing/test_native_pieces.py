"""The C kernels' products on states in two matrices: as on one, and as `dense` in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.message_passing import EdgeIndex, find_backend
from dnw_graph.native import library

pytestmark = pytest.mark.skipif(
    library.reason() is not None, reason="the C kernels are not built: no compiler"
)

# Around a vector of 8 or 16, and around tiles of 2, 4 and 8 vectors.
COLUMNS = [0, 1, 3, 8, 15, 16, 17, 31, 63, 64, 65, 127, 129, 130, 260]
INSTRUCTIONS = library.supported() if library.reason() is None else ["portable"]


@pytest.fixture(autouse=True)
def one_thread_again():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def native():
    return find_backend("native")


class Case:
    """A wiring of `split` + `rest` targets, its operands, and how far float32 may be from the sums."""

    def __init__(self, split, rest, sources, columns, share, seed=0):
        generator = torch.Generator().manual_seed(seed)
        self.split, self.targets = [split, rest], split + rest
        chosen = torch.rand(self.targets * sources, generator=generator) < share
        index = EdgeIndex.of_positions(chosen.nonzero().squeeze(1), self.targets, sources)
        self.index = index
        self.z = torch.randn(self.targets, columns, generator=generator)
        self.g = torch.randn(self.targets, columns, generator=generator)
        self.h = torch.randn(sources, columns, generator=generator)
        self.value = torch.randn(index.num_edges, generator=generator)

    def pieces(self, matrix):
        """Matrices of their own, so that none follows the other in memory."""
        return [part.clone() for part in matrix.split(self.split)]

    def sent(self, backend, add):
        z = self.pieces(self.z)
        assert backend.send(self.index, self.value, self.h, z, add=add) is z
        return torch.cat(z)

    def sent_back(self, backend):
        return backend.send_back(self.index, self.value, self.pieces(self.g))

    def edge_gradient(self, backend):
        return backend.edge_gradient(self.index, self.pieces(self.g), self.h)

    def everything(self, backend):
        return [
            self.sent(backend, add=False),
            self.sent(backend, add=True),
            self.sent_back(backend),
            self.edge_gradient(backend),
        ]

    def exact(self):
        """The same four by `dense` in float64, which knows one matrix only."""
        dense = find_backend("dense")
        z, g, h, value = self.z.double(), self.g.double(), self.h.double(), self.value.double()
        (new,) = dense.send(self.index, value, h)
        back = dense.send_back(self.index, value, [g])
        return [new, z + new, back, dense.edge_gradient(self.index, [g], h)]


@given(
    split=st.integers(0, 9),
    rest=st.integers(1, 9),
    sources=st.integers(1, 40),
    columns=st.sampled_from(COLUMNS),
    share=st.sampled_from([0.0, 0.1, 0.5, 1.1]),
    threads=st.integers(1, 5),
    instructions=st.sampled_from(INSTRUCTIONS),
    seed=st.integers(0, 9),
)
@settings(max_examples=100, deadline=None)
def test_two_pieces_are_one_matrix(split, rest, sources, columns, share, threads, instructions, seed):
    """Also an empty first piece, nodes without an edge, and no edge at all."""
    torch.set_num_threads(threads)
    case, native = Case(split, rest, sources, columns, share, seed), find_backend("native")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "instructions", lambda: instructions)
        found = case.everything(native)
        one = Case(split, rest, sources, columns, share, seed)
        one.split = [one.targets]
        undivided = one.everything(native)
    for got, same, expected in zip(found, undivided, case.exact(), strict=True):
        assert torch.equal(got, same)
        torch.testing.assert_close(got.double(), expected, rtol=2e-6, atol=2e-5)


# Tiles of one to eight vectors, one at a time and several; few columns, of which threads take all.
@pytest.mark.parametrize(
    ("sources", "columns"), [(2, 40), (129, 50), (130, 900), (300, 257), (700, 600), (1024, 49), (5000, 70)]
)
@pytest.mark.parametrize("instructions", INSTRUCTIONS)
def test_any_number_of_sources_and_columns_fits_the_packed_tiles(sources, columns, instructions, monkeypatch):
    monkeypatch.setattr(library, "instructions", lambda: instructions)
    native = find_backend("native")
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        case = Case(9, 4, sources, columns, 0.05)
        for got, expected in zip(case.everything(native), case.exact(), strict=True):
            torch.testing.assert_close(got.double(), expected, rtol=2e-6, atol=2e-5)


@pytest.mark.parametrize("columns", COLUMNS[1:])
@pytest.mark.parametrize("other", ["dense", "csr"])
def test_pieces_are_what_other_backends_make_of_them(columns, other, native):
    """Dense multiplies piece by piece; csr joins pieces before, and splits them after, one product."""
    case = Case(3, 5, 6, columns, 0.4)
    for got, expected in zip(case.everything(native), case.everything(find_backend(other)), strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_the_number_of_threads_changes_no_bit_of_pieces(native):
    case, results = Case(11, 20, 17, 333, 0.3), []
    for threads in (1, 2, 3, 8):
        torch.set_num_threads(threads)
        results.append(case.everything(native))
    for result in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(result, results[0], strict=True))


def test_targets_without_an_edge_keep_what_they_hold_or_become_zero(native):
    case = Case(2, 2, 3, 10, 0.0)
    assert torch.equal(case.sent(native, add=True), case.z)
    assert torch.equal(case.sent(native, add=False), torch.zeros(4, 10))
    assert torch.equal(case.sent_back(native), torch.zeros(3, 10))


def test_a_message_by_hand_in_the_second_piece(native):
    """Target 2 hears 2 · source 0 and −1 · source 1; it is the first row of the second piece."""
    z = [torch.ones(2, 3), torch.ones(1, 3)]
    h = torch.tensor([[1.0, 2, 3], [10, 20, 30]])
    index = EdgeIndex.of_positions(torch.tensor([4, 5]), 3, 2)
    native.send(index, torch.tensor([2.0, -1]), h, z, add=True)
    assert z[0].eq(1).all()
    assert z[1].tolist() == [[-7, -15, -23]]
    assert native.edge_gradient(index, z, h).tolist() == [-106, -1060]


def send(native, case, **others):
    z, h, value = case.pieces(case.z), case.h, case.value
    operands = {"z": z, "h": h, "value": value} | others
    native.send(case.index, operands["value"], operands["h"], operands["z"], add=True)


def fewer(index):
    """The same tensors, said to have a source less."""
    return replace(index, blocks=((index.num_targets, index.num_sources - 1),))


def test_a_slice_of_a_stage_is_refused(native):
    """It has as many pointers as the stage has rows."""
    case = Case(2, 2, 3, 8, 1.1)
    whole = replace(case.index, blocks=((1, 3), (3, 3)))
    with pytest.raises(ValueError, match="pointer of 2 numbers wanted, not 5"):
        native.send(whole.block(0), case.value, case.h)


REFUSED = {
    "a target too many": lambda n, c: send(n, c, z=[torch.zeros(2, 8), torch.zeros(3, 8)]),
    "a target too few": lambda n, c: send(n, c, z=[torch.zeros(3, 8)]),
    "three pieces": lambda n, c: send(n, c, z=[torch.zeros(each, 8) for each in (1, 1, 2)]),
    "pieces of two widths": lambda n, c: send(n, c, z=[torch.zeros(2, 8), torch.zeros(2, 9)]),
    "a piece across memory": lambda n, c: send(n, c, z=[torch.zeros(2, 8), torch.zeros(8, 2).t()]),
    "pieces in float64": lambda n, c: send(n, c, z=[torch.zeros(4, 8, dtype=torch.float64)]),
    "narrow features": lambda n, c: send(n, c, h=c.h[:, :5]),
    "features in float16": lambda n, c: send(n, c, h=c.h.half()),
    "a source too few": lambda n, c: send(n, c, h=c.h[:2]),
    "a value too few": lambda n, c: send(n, c, value=c.value[1:]),
    "values in float64": lambda n, c: send(n, c, value=c.value.double()),
    "back, a target too few": lambda n, c: n.send_back(c.index, c.value, [c.g[:3]]),
    "back, a value too few": lambda n, c: n.send_back(c.index, c.value[1:], [c.g]),
    "back, a source too few": lambda n, c: n.send_back(fewer(c.index), c.value, [c.g]),
    "edges, a target too few": lambda n, c: n.edge_gradient(c.index, [c.g[:3]], c.h),
    "edges, no piece": lambda n, c: n.edge_gradient(c.index, [], c.h),
    "edges, narrow gradients": lambda n, c: n.edge_gradient(c.index, [c.g[:, :5]], c.h),
    "edges, gradients in float16": lambda n, c: n.edge_gradient(c.index, [c.g.half()], c.h),
    "edges, features in float16": lambda n, c: n.edge_gradient(c.index, [c.g], c.h.half()),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_operands_that_do_not_fit_are_refused(call, native):
    with pytest.raises(ValueError, match=r"wanted|fit|hold"):
        call(native, Case(2, 2, 3, 8, 1.1))
