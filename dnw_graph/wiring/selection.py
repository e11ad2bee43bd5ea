"""Exact, deterministic top-k of candidate weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dnw_graph.wiring.selection_on_device import highest_on_device, strongest_on_device

Ids = npt.NDArray[np.int64]
Scores = npt.NDArray[Any]

_SAMPLE = 1 << 15
# Half the width of the band around the last threshold in which scores are ordered. A step of training
# moves the threshold by some 1e-4 of its value.
_BAND = 1 / 64
# Scores compared at once: two of such buffers stay in a core's cache.
_CHUNK = 1 << 16


@dataclass
class Threshold:
    """The smallest |score| that the last call of `strongest` chose, NaN before the first.

    It tells the next call where to look. Only speed depends on it, never the result.
    """

    value: float = math.nan


def strongest(score: Tensor, k: int, last: Threshold | None = None) -> Tensor:
    """Ids of the k largest |score|, ascending; at a tie the lowest id wins.

    score    [E] float; its magnitude counts, whatever the sign. NaN counts as 0 (of weights, it is reported
             by `WiredStage.reselect`)
    last     where the previous scores, not much different from these, were cut; updated. Used on a CPU
    returns  [k] int64, on the device of `score`; elsewhere than on a CPU without waiting for the device
    Raises ValueError unless 0 <= k <= E.
    """
    score = score.detach()
    size = score.numel()
    if not 0 <= k <= size:
        raise ValueError(f"cannot choose {k} of {size} candidates")
    if k in (0, size):
        return torch.arange(k, device=score.device)
    if score.device.type != "cpu":
        return strongest_on_device(score, k)
    # NumPy has no bfloat16.
    values = (score if score.dtype in (torch.float32, torch.float64) else score.float()).numpy()
    ids, high = _candidates(values, k, last)
    magnitude = np.abs(values[ids])
    magnitude[np.isnan(magnitude)] = 0
    stays, smallest = _largest(magnitude, k, high)
    if last is not None:
        last.value = smallest
    return torch.from_numpy(ids[stays])


def highest(score: Tensor, k: int, last: Threshold | None = None) -> Tensor:
    """Ids of the k highest scores, ascending; at a tie the lowest id wins.

    score    [E] float, of any sign; NaN is the lowest of all
    last     as for `strongest`, whose way is taken where no score is negative
    returns  [k] int64, on the device of `score`; elsewhere than on a CPU without waiting for the device
    Raises ValueError unless 0 <= k <= E.
    """
    score = score.detach()
    on_cpu = score.device.type == "cpu"
    if k in (0, score.numel()) or (on_cpu and bool(score.min() >= 0)):
        return strongest(score, k, last)
    ordered = score.nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    if not on_cpu:
        return highest_on_device(ordered, k)
    return ordered.sort(descending=True, stable=True).indices[:k].sort().values


def _candidates(values: Scores, k: int, last: Threshold | None) -> tuple[Ids, float]:
    """(ascending ids among which the k largest |score| are, a score that about k exceed)."""
    for low, high in _bounds(values, k, last):
        # NaN counts as 0, but reaches nothing: 0 is no bound.
        if values.dtype.type(low) > 0 and len(ids := _reaching(values, low)) >= k:
            return ids, high
    return np.arange(len(values)), math.inf


def _bounds(values: Scores, k: int, last: Threshold | None) -> Iterator[tuple[float, float]]:
    """Pairs between which the k-th largest |score| may lie: near the last one, then told by a sample.

    A lower bound that fewer than k scores reach was wrong; so was an upper one that more than k exceed.
    """
    if last is not None and not math.isnan(last.value):
        yield last.value * (1 - _BAND), last.value * (1 + _BAND)
    size = len(values)
    if size <= 4 * _SAMPLE:
        return
    sample = np.abs(values[:: size // _SAMPLE])
    sample[np.isnan(sample)] = 0
    share = k / size
    # Four standard deviations of the sample's quantile, and one place.
    margin = 4 * (len(sample) * share * (1 - share)) ** 0.5 + 1
    below, above = (int(len(sample) * (1 - share) + offset) for offset in (-margin, margin))
    if below < 1:
        return
    places = [below - 1, min(above, len(sample) - 1)]
    low, high = np.partition(sample, places)[places]
    yield float(low), float(high) if above < len(sample) else math.inf


def _reaching(values: Scores, low: float) -> Ids:
    """Ascending ids of |score| >= low, in one pass; NaN reaches nothing."""
    reaches = np.empty(len(values), dtype=bool)
    magnitude = np.empty(min(_CHUNK, len(values)), dtype=values.dtype)
    for start in range(0, len(values), _CHUNK):
        part = values[start : start + _CHUNK]
        np.greater_equal(np.abs(part, out=magnitude[: len(part)]), low, out=reaches[start : start + _CHUNK])
    return np.flatnonzero(reaches)


def _largest(magnitude: Scores, k: int, high: float) -> tuple[npt.NDArray[np.bool_], float]:
    """(which are the k largest, the first ones of equals; the smallest of them), 0 < k <= size.

    Only what does not exceed `high` is ordered, unless more than k exceed it.
    """
    stays = magnitude > high
    wanted = k - int(np.count_nonzero(stays))
    if wanted <= 0:
        stays[:] = False
        wanted = k
    band = np.flatnonzero(~stays)
    rivals = magnitude[band]
    place = len(band) - wanted
    smallest = np.partition(rivals, place)[place]
    stays[band[rivals > smallest]] = True
    ties = band[rivals == smallest]
    stays[ties[: k - int(np.count_nonzero(stays))]] = True
    return stays, float(smallest)
