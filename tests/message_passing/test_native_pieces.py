"""The C kernels' products on states in two matrices: as on one, and as `dense` in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.message_passing import EdgeIndex, find_backend
from dnw_graph.message_passing.backend import Backend
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
        self.index, self.sources = (index.pointer, index.source), sources
        self.z = torch.randn(self.targets, columns, generator=generator)
        self.g = torch.randn(self.targets, columns, generator=generator)
        self.h = torch.randn(sources, columns, generator=generator)
        self.value = torch.randn(index.num_edges, generator=generator)

    def pieces(self, matrix):
        """Matrices of their own, so that none follows the other in memory."""
        return [part.clone() for part in matrix.split(self.split)]

    def sent(self, backend, add):
        z = self.pieces(self.z)
        backend.accumulate(z, self.h, self.value, *self.index, add=add)
        return torch.cat(z)

    def transposed(self, backend):
        g = self.pieces(self.g)
        return backend.transposed_of_pieces(g, self.value, *self.index, self.sources)

    def edge_gradient(self, backend):
        return backend.edge_gradient_of_pieces(self.pieces(self.g), self.h, *self.index)

    def everything(self, backend):
        return [
            self.sent(backend, add=False),
            self.sent(backend, add=True),
            self.transposed(backend),
            self.edge_gradient(backend),
        ]

    def exact(self):
        """The same four by `dense` in float64, which knows one matrix only."""
        dense = find_backend("dense")
        z, g, h, value = self.z.double(), self.g.double(), self.h.double(), self.value.double()
        new = dense.aggregate(h, value, *self.index)
        back = dense.transposed(g, value, *self.index, self.sources)
        return [new, z + new, back, dense.edge_gradient(g, h, *self.index)]


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
    assert type(find_backend("csr")).accumulate is Backend.accumulate
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
    assert torch.equal(case.transposed(native), torch.zeros(3, 10))


def test_a_message_by_hand_in_the_second_piece(native):
    """Target 2 hears 2 · source 0 and −1 · source 1; it is the first row of the second piece."""
    z = [torch.ones(2, 3), torch.ones(1, 3)]
    h = torch.tensor([[1.0, 2, 3], [10, 20, 30]])
    index = torch.tensor([0, 0, 0, 2]), torch.tensor([0, 1])
    native.accumulate(z, h, torch.tensor([2.0, -1]), *index, add=True)
    assert z[0].eq(1).all()
    assert z[1].tolist() == [[-7, -15, -23]]
    assert native.edge_gradient_of_pieces(z, h, *index).tolist() == [-106, -1060]


def send(native, case, **others):
    z, h, value = case.pieces(case.z), case.h, case.value
    operands = {"z": z, "h": h, "value": value} | others
    native.accumulate(operands["z"], operands["h"], operands["value"], *case.index, add=True)


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
    "back, a target too few": lambda n, c: n.transposed_of_pieces([c.g[:3]], c.value, *c.index, 3),
    "back, a value too few": lambda n, c: n.transposed_of_pieces([c.g], c.value[1:], *c.index, 3),
    "back, a source too few": lambda n, c: n.transposed_of_pieces([c.g], c.value, *c.index, 2),
    "edges, a target too few": lambda n, c: n.edge_gradient_of_pieces([c.g[:3]], c.h, *c.index),
    "edges, no piece": lambda n, c: n.edge_gradient_of_pieces([], c.h, *c.index),
    "edges, narrow gradients": lambda n, c: n.edge_gradient_of_pieces([c.g[:, :5]], c.h, *c.index),
    "edges, gradients in float16": lambda n, c: n.edge_gradient_of_pieces([c.g.half()], c.h, *c.index),
    "edges, features in float16": lambda n, c: n.edge_gradient_of_pieces([c.g], c.h.half(), *c.index),
}


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_operands_that_do_not_fit_are_refused(call, native):
    with pytest.raises(ValueError, match=r"wanted|fit|hold"):
        call(native, Case(2, 2, 3, 8, 1.1))
