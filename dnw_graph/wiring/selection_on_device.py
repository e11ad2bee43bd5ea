"""The same top-k where the host must not wait for what the scores are."""

from __future__ import annotations

import torch
from torch import Tensor


def highest_on_device(score: Tensor, k: int) -> Tensor:
    """`highest` with shapes that follow from E and k alone, 0 < k < E: no value is read by the host.

    score [E] float → ids [k] int64, ascending; equals the way on the CPU bit for bit, and runs there too.
    """
    # topk's own ids are no use: at a tie it takes any.
    smallest = score.topk(k, sorted=False).values.amin()
    above = score > smallest
    ties = score == smallest
    wanted = k - above.sum()
    chosen = above | (ties & (ties.cumsum(0) <= wanted))
    # Place j of the result is where the count of chosen ids reaches j + 1.
    return torch.searchsorted(chosen.cumsum(0), torch.arange(1, k + 1, device=score.device))


def strongest_on_device(score: Tensor, k: int) -> Tensor:
    """`strongest` in the same way."""
    return highest_on_device(score.detach().abs().nan_to_num(nan=0.0, posinf=torch.inf), k)
