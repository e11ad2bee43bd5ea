"""Index tensors of the selected edges that leave one source level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class EdgeIndex:
    """Selected edges of a block, compressed by target (CSR).

    pointer   [T + 1] int64: edges of target row v are pointer[v] .. pointer[v + 1]
    source    [e] int64: source column of each edge, ascending within a target
    position  [e] int64: place of each edge's weight in the block, row-major
    """

    pointer: Tensor
    source: Tensor
    position: Tensor
    num_sources: int

    @property
    def num_targets(self) -> int:
        return self.pointer.numel() - 1

    @property
    def num_edges(self) -> int:
        return self.source.numel()

    @staticmethod
    def of_positions(position: Tensor, num_targets: int, num_sources: int) -> EdgeIndex:
        """Ascending row-major positions [e] int64 in a [num_targets, num_sources] block."""
        if position.device.type == "cpu":
            # NumPy searches ascending bounds in a fraction of torch's time, and needs no division.
            places = position.numpy()
            starts = np.arange(num_targets + 1) * num_sources
            bounds = np.searchsorted(places, starts)
            source = torch.from_numpy(places - np.repeat(starts[:-1], np.diff(bounds)))
            return EdgeIndex(torch.from_numpy(bounds), source, position, num_sources)
        first = torch.arange(num_targets + 1, device=position.device) * num_sources
        pointer = torch.searchsorted(position, first)
        return EdgeIndex(pointer, position % num_sources, position, num_sources)


def rows_of(pointer: Tensor, num_edges: int) -> Tensor:
    """Target row of every edge [e] int64, from a CSR pointer [T + 1]."""
    rows = torch.arange(pointer.numel() - 1, device=pointer.device)
    return torch.repeat_interleave(rows, pointer.diff(), output_size=num_edges)


def by_source(pointer: Tensor, source: Tensor, num_sources: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same edges compressed by source: their order [e], pointer [S + 1], target of each [e].

    All int64; within a source the targets ascend.
    """
    if source.device.type == "cpu":
        # Here, so that a machine with a GPU needs only torch.
        from scipy.sparse import csr_array

        # Two counting passes over the edges instead of a sort.
        edges = np.arange(source.numel())
        matrix = csr_array(
            (edges, source.numpy(), pointer.numpy()), shape=(pointer.numel() - 1, num_sources)
        ).tocsc()
        order, reverse, target = (
            torch.from_numpy(each.astype(np.int64, copy=False))
            for each in (matrix.data, matrix.indptr, matrix.indices)
        )
        return order, reverse, target
    order = torch.argsort(source, stable=True)
    bounds = torch.arange(num_sources + 1, device=source.device)
    return order, torch.searchsorted(source[order], bounds), rows_of(pointer, source.numel())[order]
