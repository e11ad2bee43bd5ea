"""Edges as bytes: what is written is read, in as few bytes as was promised, and nothing else is believed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnw_graph.runtime.edges import packed, unpacked


@given(
    rows=st.integers(0, 40),
    columns=st.integers(0, 400),
    share=st.sampled_from([0.0, 0.001, 0.02, 0.2, 0.9, 1.0]),
    seed=st.integers(0, 99),
)
def test_edges_are_read_as_they_were_written(rows, columns, share, seed):
    row, column = np.nonzero(np.random.default_rng(seed).random((rows, columns)) < share)
    kind, codes = packed(row, column, rows, columns)
    assert codes.size <= -(-rows * columns // 8)
    found = unpacked(kind, codes, rows, columns, row.size)
    assert np.array_equal(found, (row, column))


def test_gaps_by_hand():
    """Positions 0, 1, 257 and 1023 of 4×256: gaps 0, 0, 255 and 765 = 3 · 255."""
    row, column = np.array([0, 0, 1, 3]), np.array([0, 1, 1, 255])
    kind, codes = packed(row, column, 4, 256)
    assert kind == "gaps"
    assert codes.tolist() == [0, 0, 255, 0, 255, 255, 255, 0]


def test_bits_by_hand():
    kind, codes = packed(np.array([0, 0, 1, 1]), np.array([0, 2, 0, 1]), 2, 3)
    assert kind == "bits"
    assert codes.tolist() == [0b011101]


@pytest.mark.parametrize(
    ("kind", "codes", "said"),
    [
        ("gaps", [0, 0], "2 gaps for 3 weights"),
        ("gaps", [0, 0, 0, 255], "3 gaps for 3 weights"),
        ("gaps", [0, 0, 22], "edges beyond 2×12"),
        ("bits", [7, 0], "2 bytes of bits for 2×12 edges"),
        ("bits", [7, 0, 1], "another number of bits than its 3 weights"),
    ],
)
def test_bytes_that_are_no_edges(kind, codes, said):
    with pytest.raises(ValueError, match=said):
        unpacked(kind, np.array(codes, dtype=np.uint8), 2, 12, 3)
