"""How much a compressed file may cost to read, from its size: nothing else that it says is believed."""

from __future__ import annotations

_FREE = 32 << 20
_TIMES = 64


def most_unpacked(size: int) -> int:
    """Bytes that a file of `size` bytes may unpack to.

    64 times its size, and 32 MB for small ones; stored wirings and images unpack to 2 to 20 times theirs.
    """
    return _FREE + _TIMES * size
