"""How much one program of a kernel takes.

Chosen for a GPU of some 100 multiprocessors, and not measured yet: `benchmarks/gpu.py --tune` times the
neighbours of each choice, and what it finds belongs here.
"""

from __future__ import annotations

from typing import NamedTuple

# Programs that keep such a GPU busy: some per scheduler.
_BUSY = 2048
# Bytes of a row that one warp reads at once, 16 per thread.
_WARP_BYTES = 512


class Tile(NamedTuple):
    """Edges and columns held at once, and warps. The first two are powers of two."""

    edges: int
    columns: int
    warps: int


def aggregation_tile(rows: int, columns: int, element_size: int) -> Tile:
    """For z[v, tile] = Σ value · h[u, tile]: a program is a row and a tile of its columns.

    Two warps side by side, four edges in flight. Where maps are small or rows few, tiles are narrower, for
    more programs, and take more edges at once instead.
    """
    widest = 2 * _WARP_BYTES // element_size
    width = max(32, min(widest, power_of_two(columns)))
    while width > 64 and rows * -(-columns // width) < _BUSY:
        width //= 2
    return Tile(edges=min(16, 4 * widest // width), columns=width, warps=2)


def product_tile(edges: int, columns: int, element_size: int) -> tuple[Tile, int]:
    """For value[e] = Σ g[v] · h[u]: a program is some edges and a span of columns; → (tile, spans).

    A span is short enough for the rows of all programs that run together to stay in the L2 cache.
    """
    width = max(32, min(_WARP_BYTES // element_size, power_of_two(columns)))
    tile = Tile(edges=8, columns=width, warps=4)
    blocks = -(-edges // tile.edges)
    spans = max(-(-columns // 8192), min(-(-_BUSY // blocks), -(-columns // (4 * width))))
    return tile, spans


def power_of_two(number: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(0, number - 1).bit_length()


class MapTile(NamedTuple):
    """Rows and columns of pixels held at once, both powers of two, and warps."""

    rows: int
    width: int
    warps: int


def map_tile(rows: int, width: int) -> MapTile:
    """For the node operation on groups of so many rows: whole rows where they are short, 4 pixels per thread.

    More pixels per thread would take more than 100 registers (seen in the code for Hopper).
    """
    across = min(128, power_of_two(width))
    down = min(256 // across, power_of_two(rows))
    return MapTile(rows=down, width=across, warps=1 if down * across <= 128 else 2)


def parts_of(groups: int, tiles: int) -> tuple[int, int]:
    """(programs per group, tiles per program) for sums over groups of so many tiles."""
    parts = max(1, min(tiles, _BUSY // groups))
    each = -(-tiles // parts)
    return -(-tiles // each), each
