"""Message passing: sums of weighted rows, and products of rows.

Sums are kept in float32 whatever the features are, without tensor cores, hence without TF32. The order of
additions depends on the tile only: results are the same from run to run.

A matrix may come in two pieces, whose rows follow each other: row r is in the first if r < split.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from dnw_graph.triton.availability import on_device
from dnw_graph.triton.tiles import Tile, aggregation_tile, product_tile


@triton.jit
def _row(
    first: tl.tensor,
    rest: tl.tensor,
    split: tl.tensor,
    r: tl.tensor,
    columns: tl.tensor,
    TWO: tl.constexpr,
) -> tl.tensor:
    """Where row r (int64) of a matrix begins."""
    if TWO:
        return tl.where(r < split, first + r * columns, rest + (r - split) * columns)
    return first + r * columns


@triton.jit(do_not_specialize=["source_split", "target_split", "first_column", "rows"])
def weighted_rows_kernel(
    sources: tl.tensor,
    more_sources: tl.tensor,
    source_split: tl.tensor,
    targets: tl.tensor,
    more_targets: tl.tensor,
    target_split: tl.tensor,
    value: tl.tensor,
    pointer: tl.tensor,
    column: tl.tensor,
    first_column: tl.tensor,
    order: tl.tensor,
    rows: tl.tensor,
    columns: tl.tensor,
    TWO_SOURCES: tl.constexpr,
    TWO_TARGETS: tl.constexpr,
    HAS_ORDER: tl.constexpr,
    ADD: tl.constexpr,
    EDGES: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    # Programs of one column tile follow each other, so that the rows they share stay in the caches.
    row = tl.program_id(0) % rows
    d = tl.program_id(0) // rows * COLUMNS + tl.arange(0, COLUMNS)
    inside = d < columns
    first = tl.load(pointer + row)
    last = tl.load(pointer + row + 1)
    lane = tl.arange(0, EDGES)
    total = tl.zeros((EDGES, COLUMNS), tl.float32)
    for begin in range(first, last, EDGES):
        e = begin + lane
        here = e < last
        u = (tl.load(column + e, mask=here, other=first_column) - first_column).to(tl.int64)
        if HAS_ORDER:
            e = tl.load(order + e, mask=here, other=0)
        w = tl.load(value + e, mask=here, other=0).to(tl.float32)
        at = _row(sources, more_sources, source_split, u, columns, TWO_SOURCES)[:, None] + d[None, :]
        h = tl.load(at, mask=here[:, None] & inside[None, :], other=0)
        total += w[:, None] * h.to(tl.float32)
    z = tl.sum(total, 0)
    out = _row(targets, more_targets, target_split, row.to(tl.int64), columns, TWO_TARGETS) + d
    if ADD:
        z += tl.load(out, mask=inside, other=0).to(tl.float32)
    tl.store(out, z.to(targets.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["split", "edges"])
def products_of_rows_kernel(
    g: tl.tensor,
    more_g: tl.tensor,
    split: tl.tensor,
    h: tl.tensor,
    row: tl.tensor,
    column: tl.tensor,
    result: tl.tensor,
    edges: tl.tensor,
    columns: tl.tensor,
    span: tl.tensor,
    TWO: tl.constexpr,
    EDGES: tl.constexpr,
    COLUMNS: tl.constexpr,
) -> None:
    # Programs of one span follow each other.
    blocks = tl.cdiv(edges, EDGES)
    part = tl.program_id(0) // blocks
    e = tl.program_id(0) % blocks * EDGES + tl.arange(0, EDGES)
    here = e < edges
    v = tl.load(row + e, mask=here, other=0).to(tl.int64)
    u = tl.load(column + e, mask=here, other=0).to(tl.int64)
    from_g = _row(g, more_g, split, v, columns, TWO)[:, None]
    from_h = (h + u * columns)[:, None]
    end = tl.minimum((part + 1) * span, columns)
    total = tl.zeros((EDGES, COLUMNS), tl.float32)
    for begin in range(part * span, end, COLUMNS):
        d = begin + tl.arange(0, COLUMNS)
        mask = here[:, None] & (d < end)[None, :]
        x = tl.load(from_g + d[None, :], mask=mask, other=0).to(tl.float32)
        y = tl.load(from_h + d[None, :], mask=mask, other=0).to(tl.float32)
        total += x * y
    tl.store(result + part.to(tl.int64) * edges + e, tl.sum(total, 1), mask=here)


def weighted_rows(
    sources: Sequence[Tensor],
    targets: Sequence[Tensor],
    value: Tensor,
    pointer: Tensor,
    column: Tensor,
    order: Tensor | None = None,
    *,
    add: bool,
    first_column: int = 0,
    tile: Tile | None = None,
) -> None:
    """targets[r] = (targets[r] if `add`) + Σ value[e] · sources[column[e] - first_column], e: edges of row r.

    sources, targets  one or two pieces [·, D] each, contiguous; float32, bfloat16 or float16
    pointer           [R + 1], column [E] int32: the edges of row r are pointer[r] .. pointer[r + 1]
    value             [E], taken at order[e] (int32) where an order is given
    """
    rows, columns = pointer.numel() - 1, targets[0].shape[1]
    if not rows or not columns:
        return
    tile = tile or aggregation_tile(rows, columns, targets[0].element_size())
    with on_device(value.device):
        weighted_rows_kernel[(rows * -(-columns // tile.columns),)](
            *_pieces(sources),
            *_pieces(targets),
            value,
            pointer,
            column,
            first_column,
            column if order is None else order,
            rows,
            columns,
            TWO_SOURCES=len(sources) > 1,
            TWO_TARGETS=len(targets) > 1,
            HAS_ORDER=order is not None,
            ADD=add,
            EDGES=tile.edges,
            COLUMNS=tile.columns,
            num_warps=tile.warps,
        )


def products_of_rows(
    g: Sequence[Tensor], h: Tensor, row: Tensor, column: Tensor, choice: tuple[Tile, int] | None = None
) -> Tensor:
    """result[e] = Σ_d g[row[e], d] · h[column[e], d].

    g [T, D] in one or two pieces, h [S, D], row, column [E] int32; choice: see `product_tile`.  → [E]
    """
    edges, columns = column.numel(), h.shape[1]
    if not edges or not columns:
        return h.new_zeros(edges)
    tile, spans = choice or product_tile(edges, columns, h.element_size())
    span = -(-columns // (spans * tile.columns)) * tile.columns
    spans = -(-columns // span)
    parts = torch.empty(spans, edges, dtype=torch.float32, device=h.device)
    with on_device(h.device):
        products_of_rows_kernel[(spans * -(-edges // tile.edges),)](
            *_pieces(g),
            h,
            row,
            column,
            parts,
            edges,
            columns,
            span,
            TWO=len(g) > 1,
            EDGES=tile.edges,
            COLUMNS=tile.columns,
            num_warps=tile.warps,
        )
    return (parts[0] if spans == 1 else parts.sum(0)).to(h.dtype)


def _pieces(parts: Sequence[Tensor]) -> tuple[Tensor, Tensor, int]:
    """(first, rest, split) of matrices [rows, D] whose rows follow each other; two at most."""
    first, rest = parts[0], parts[-1]
    assert len(parts) <= 2
    assert all(part.is_contiguous() and part.shape[1] == first.shape[1] for part in parts)
    return first, rest, first.shape[0]
