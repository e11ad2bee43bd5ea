"""Exact, deterministic top-k of candidate weights."""

from __future__ import annotations

import torch
from torch import Tensor

_SAMPLE = 1 << 15


def strongest(score: Tensor, k: int) -> Tensor:
    """Ids of the k largest |score|, ascending; at a tie the lowest id wins.

    score    [E] float; its magnitude counts, whatever the sign. NaN counts as 0 (of weights, it is reported
             by `WiredStage.reselect`)
    returns  [k] int64, on the device of `score`
    Raises ValueError unless 0 <= k <= E.
    """
    score = score.detach()
    size = score.numel()
    if not 0 <= k <= size:
        raise ValueError(f"cannot choose {k} of {size} candidates")
    if k in (0, size):
        return torch.arange(k, device=score.device)
    shortlist = _shortlist(score, k)
    ids = torch.arange(size, device=score.device) if shortlist is None else shortlist
    magnitude = (score if shortlist is None else score[ids]).abs().nan_to_num(nan=0.0, posinf=torch.inf)
    # Not kthvalue: on sorted values it takes quadratic time.
    threshold = magnitude.topk(k, sorted=False).values.amin()
    chosen = magnitude > threshold
    # What is missing to k is filled from the ties at the threshold, lowest id first.
    ties = torch.nonzero(magnitude == threshold).squeeze(1)
    chosen[ties[: k - int(chosen.sum())]] = True
    return ids[chosen]


def _shortlist(score: Tensor, k: int) -> Tensor | None:
    """Ascending ids that hold the k largest |score| and little else, or None where none was found.

    A sample tells a bound that slightly more than k values reach, so that only these are ordered.
    """
    size = score.numel()
    if size <= 4 * _SAMPLE:
        return None
    sample = score[:: size // _SAMPLE].abs().nan_to_num(nan=0.0, posinf=torch.inf)
    count = sample.numel()
    share = k / size
    # Four standard deviations of the sample's quantile, and one place.
    margin = 4 * (count * share * (1 - share)) ** 0.5 + 1
    rank = int(count * (1 - share) - margin)
    if rank < 1:
        return None
    bound = sample.sort().values[rank - 1]
    reaches = score >= bound
    reaches |= score <= -bound
    ids = torch.nonzero(reaches).squeeze(1)
    return ids if k <= ids.numel() < size else None
