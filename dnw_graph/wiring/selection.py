"""Exact, deterministic top-k of candidate weights."""

from __future__ import annotations

import torch
from torch import Tensor

_SAMPLE = 1 << 16


def strongest(score: Tensor, k: int) -> Tensor:
    """Ids of the k largest |score|, ascending; at a tie the lowest id wins.

    score    [E] float; NaN counts as 0 (the caller reports it, see `WiredStage.rewire`)
    returns  [k] int64, on the device of `score`
    Raises ValueError unless 0 <= k <= E.
    """
    size = score.numel()
    if not 0 <= k <= size:
        raise ValueError(f"cannot choose {k} of {size} candidates")
    if k in (0, size):
        return torch.arange(k, device=score.device)
    magnitude = score.detach().abs().nan_to_num(nan=0.0, posinf=torch.inf)
    threshold = _kth_largest(magnitude, k)
    above = magnitude > threshold
    # What is missing to k is filled from the ties at the threshold, lowest id first.
    ties = torch.nonzero(magnitude == threshold).squeeze(1)
    missing = k - int(above.sum())
    above[ties[:missing]] = True
    return torch.nonzero(above).squeeze(1)


def _kth_largest(magnitude: Tensor, k: int) -> Tensor:
    """The k-th largest value of a vector [E], as a 0-d tensor.

    A sample brackets the value, so that only a small share of a large vector is ordered;
    where the bracket misses, the whole vector is.
    """
    size = magnitude.numel()
    if size <= 4 * _SAMPLE:
        return magnitude.kthvalue(size - k + 1).values
    stride = size // _SAMPLE
    sample = magnitude[::stride].sort().values
    count = sample.numel()
    position = count * (1 - k / size)
    # Four standard deviations of the sample quantile, and one place.
    margin = 4 * (count * (k / size) * (1 - k / size)) ** 0.5 + 1
    low = sample[max(0, int(position - margin))]
    high_position = int(position + margin)
    beyond = magnitude.new_tensor(torch.inf)
    high = sample[high_position] if high_position < count else beyond
    higher = int((magnitude > high).sum())
    within = magnitude[(magnitude >= low) & (magnitude <= high)]
    if not higher < k <= higher + within.numel():
        return magnitude.kthvalue(size - k + 1).values
    return within.kthvalue(within.numel() - (k - higher) + 1).values
