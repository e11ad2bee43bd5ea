"""The distribution of the edges' weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from dnw_graph.analysis.measure import WHOLE, Measure, Numbers, Place
from dnw_graph.analysis.wiring import Wiring
from dnw_graph.errors import InputError

Weights = npt.NDArray[np.float64]

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)


def percentiles_of(weight: Weights) -> Weights:
    """Magnitudes |w| below which 0, 5, 25, 50, 75, 95 and 100 % of the edges are.

    weight  float64 [E], E ≥ 1; linear interpolation between neighbours (Hyndman and Fan 1996, number 7).
    """
    values = np.asarray(weight) if isinstance(weight, (np.ndarray, list, tuple)) else np.zeros(0)
    if not values.size or values.dtype.kind not in "fiu":
        raise InputError("percentiles_of takes an array of weights, at least one; give wiring.weight")
    return np.percentile(np.abs(values), PERCENTILES)


def weights_by_stage(wiring: Wiring) -> Iterator[tuple[Place, Weights]]:
    """The weights of each stage that has edges, then of the whole wiring.

    Raises InputError for a wiring without weights.
    """
    weights = _weights(wiring)
    for stage in range(len(wiring.layout.stages)):
        mine = weights[wiring.stage == stage]
        if len(mine):
            yield Place(stage=stage), mine
    if len(weights):
        yield WHOLE, weights


def mean_magnitudes(wiring: Wiring) -> npt.NDArray[np.float64]:
    """Mean |w| from each level (row) to each level (column), NaN where there is no edge. [levels, levels]

    Raises InputError for a wiring without weights.
    """
    levels = len(wiring.layout.levels)
    pair = wiring.level[wiring.source] * levels + wiring.level[wiring.target]
    sums = np.bincount(pair, weights=np.abs(_weights(wiring)), minlength=levels**2)
    edges = np.bincount(pair, minlength=levels**2)
    means = np.divide(sums, edges, out=np.full(levels**2, np.nan), where=edges > 0)
    return means.reshape(levels, levels)


def _weights(wiring: Wiring) -> Weights:
    if wiring.weight is None:
        raise InputError("this wiring was drawn or stored without weights; give that of a network or a file")
    return wiring.weight


def _numbers(wiring: Wiring) -> Numbers:
    numbers: Numbers = {}
    for place, weight in weights_by_stage(wiring):
        numbers[place, "negative_share"] = float((weight < 0).mean())
        numbers[place, "mean"] = float(weight.mean())
        numbers[place, "sd"] = float(weight.std())
        for percent, magnitude in zip(PERCENTILES, percentiles_of(weight).tolist(), strict=True):
            numbers[place, f"magnitude_{percent}"] = magnitude
    return numbers


def _pair_numbers(wiring: Wiring) -> Numbers:
    means = mean_magnitudes(wiring)
    return {
        (Place(level=int(source), to_level=int(target)), "mean_magnitude"): float(means[source, target])
        for source, target in zip(*np.nonzero(np.isfinite(means)), strict=True)
    }


WEIGHTS = Measure(
    "weights",
    "Weights of the edges; magnitude n: n % of the edges have a smaller |w|",
    {
        "negative_share": "share",
        "mean": "weight",
        "sd": "weight",
        **{f"magnitude_{percent}": "weight" for percent in PERCENTILES},
    },
    numbers=_numbers,
    random=False,
)

WEIGHT_PAIRS = Measure(
    "weight_pairs",
    "Weights: mean magnitude |w| from level to level",
    {"mean_magnitude": "weight"},
    numbers=_pair_numbers,
    random=False,
)
