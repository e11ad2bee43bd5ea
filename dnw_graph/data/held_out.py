"""Which images of a set are kept apart: to choose the best checkpoint, or for the test."""

from __future__ import annotations

import torch
from torch import Tensor

from dnw_graph.data.batches import derived_seed
from dnw_graph.errors import InputError

USUAL = 0.1
"""The share that is kept apart where a data set has no such part of its own, and none is asked for."""


def held_out(labels: Tensor, share: float, part: str, seed: int, source: str) -> Tensor:
    """Which images are kept apart: bool [N], drawn from (part, seed), of every class the same share.

    labels  int64 [N]
    part    what they are kept for, validation or test
    Of n images of a class, share · n are kept apart, rounded; at least one, unless n is 1, and never all.
    Raises InputError, naming `source`, where that is no image at all.
    """
    generator = torch.Generator().manual_seed(derived_seed(part, seed))
    order = torch.randperm(len(labels), generator=generator)
    by_class = order[labels[order].argsort(stable=True)]
    apart = torch.zeros(len(labels), dtype=torch.bool)
    for members in by_class.split(torch.unique(labels, return_counts=True)[1].tolist()):
        most = len(members) - 1
        apart[members[: min(max(int(share * len(members) + 0.5), 1), most)]] = True
    if not apart.any():
        raise InputError(
            f"{source}: no class has an image to spare for the {part} part; add images, or set data.{part} "
            "to 0"
        )
    return apart
