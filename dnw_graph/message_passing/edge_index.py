"""The selected edges of a block or of a whole stage, and what backends derive from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

Derived = TypeVar("Derived")
_derived = WeakIdKeyDictionary()


@dataclass(frozen=True, eq=False)
class EdgeIndex:
    """Selected edges, compressed by target (CSR): of one block, or of all blocks of a stage.

    A row is a target node of a block, a column a source node of one; both are numbered through all blocks.
    A slice of a stage's index, `block(i)`, has the same tensors and means one block's rows and columns; the
    host does not know how many edges these have.

    pointer   [R + 1] int64: edges of row r are pointer[r] .. pointer[r + 1]
    source    [e] int64: column of each edge, ascending within a row
    position  [e] int64: place of each edge's weight: in the block, row-major, or in the stage's parameter
    blocks    (targets, sources) of each block
    sliced    number of the block that is meant; None: all
    """

    pointer: Tensor
    source: Tensor
    position: Tensor
    blocks: tuple[tuple[int, int], ...]
    sliced: int | None = None

    @property
    def rows(self) -> slice:
        """The target rows that are meant."""
        bounds, _ = bounds_of(self.blocks)
        return _meant(bounds, self.sliced)

    @property
    def columns(self) -> slice:
        """The source columns that are meant."""
        _, bounds = bounds_of(self.blocks)
        return _meant(bounds, self.sliced)

    @property
    def shape(self) -> tuple[int, int]:
        """(targets, sources): how many rows and columns are meant."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        rows, columns = self.rows, self.columns
        return rows.stop - rows.start, columns.stop - columns.start

    @property
    def num_targets(self) -> int:
        return self.shape[0]

    @property
    def num_sources(self) -> int:
        return self.shape[1]

    @property
    def num_edges(self) -> int:
        """Of all blocks."""
        return self.source.numel()

    def block(self, number: int) -> EdgeIndex:
        """The edges of one block."""
        return replace(self, sliced=number)

    def derived(self, purpose: Hashable, build: Callable[[], Derived]) -> Derived:
        """What a backend derives from the edges of all blocks, made once and kept while the tensors exist.

        What `build` returns must not hold `pointer` or `source`, or they would be kept for ever.
        """
        of_source = _derived.setdefault(self.source, WeakIdKeyDictionary())
        kept = of_source.setdefault(self.pointer, {})
        key = (purpose, self.blocks, self.pointer._version, self.source._version)
        if key not in kept:
            kept[key] = build()
        return kept[key]

    def targets(self) -> Tensor:
        """Row of every edge [e] int64."""
        return rows_of(self.pointer, self.num_edges)

    def by_source(self) -> tuple[Tensor, Tensor, Tensor]:
        """The edges of all blocks compressed by source: their order [e], pointer [C + 1], row of each [e].

        All int64; within a source the rows ascend.
        """
        num_sources = bounds_of(self.blocks)[1][-1]
        if self.source.device.type == "cpu":
            # Here, so that a machine with a GPU needs only torch.
            from scipy.sparse import csr_array

            # Two counting passes over the edges instead of a sort.
            edges = np.arange(self.num_edges)
            matrix = csr_array(
                (edges, self.source.numpy(), self.pointer.numpy()),
                shape=(self.pointer.numel() - 1, num_sources),
            ).tocsc()
            order, reverse, target = (
                torch.from_numpy(each.astype(np.int64, copy=False))
                for each in (matrix.data, matrix.indptr, matrix.indices)
            )
            return order, reverse, target
        order = torch.argsort(self.source, stable=True)
        bounds = torch.arange(num_sources + 1, device=self.source.device)
        return order, torch.searchsorted(self.source[order], bounds), self.targets()[order]

    @staticmethod
    def of_positions(position: Tensor, num_targets: int, num_sources: int) -> EdgeIndex:
        """Ascending row-major positions [e] int64 in a [num_targets, num_sources] block."""
        blocks = ((num_targets, num_sources),)
        if position.device.type == "cpu":
            # NumPy searches ascending bounds in a fraction of torch's time, and needs no division.
            places = position.numpy()
            starts = np.arange(num_targets + 1) * num_sources
            bounds = np.searchsorted(places, starts)
            source = torch.from_numpy(places - np.repeat(starts[:-1], np.diff(bounds)))
            return EdgeIndex(torch.from_numpy(bounds), source, position, blocks)
        first = torch.arange(num_targets + 1, device=position.device) * num_sources
        pointer = torch.searchsorted(position, first)
        return EdgeIndex(pointer, position % num_sources, position, blocks)


def rows_of(pointer: Tensor, num_edges: int) -> Tensor:
    """Row of every edge [e] int64, from a CSR pointer [R + 1]."""
    rows = torch.arange(pointer.numel() - 1, device=pointer.device)
    return torch.repeat_interleave(rows, pointer.diff(), output_size=num_edges)


@lru_cache(maxsize=256)
def bounds_of(blocks: tuple[tuple[int, int], ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """First row and first column of each block, then the number of rows and columns."""
    rows = accumulate((targets for targets, _ in blocks), initial=0)
    columns = accumulate((sources for _, sources in blocks), initial=0)
    return tuple(rows), tuple(columns)


def _meant(bounds: tuple[int, ...], block: int | None) -> slice:
    return slice(0, bounds[-1]) if block is None else slice(bounds[block], bounds[block + 1])
