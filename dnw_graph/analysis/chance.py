"""What chance gives: the spread of a number over random graphs, drawn or computed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean, stdev
from typing import NamedTuple


class Spread(NamedTuple):
    """A number of random graphs.

    mean   an int where a float would overflow
    sd     sample standard deviation; None of a single value
    draws  number of graphs; None where mean and sd are computed exactly
    """

    mean: int | float
    sd: int | float | None
    draws: int | None = None


def spread_of(values: Sequence[int | float]) -> Spread:
    """Mean and sample standard deviation of one or more values."""
    count = len(values)
    try:
        return Spread(fmean(values), stdev(values) if count > 1 else None, count)
    except OverflowError:
        mean = int(sum(values)) // count
        squares = int(sum((value - mean) ** 2 for value in values))
        return Spread(mean, math.isqrt(squares // (count - 1)) if count > 1 else None, count)


def common_by_chance(budgets: Iterable[tuple[int, int, int]]) -> Spread:
    """Common edges of two random graphs with given numbers of edges, exactly.

    budgets  for each set of candidates: edges of the one, edges of the other, candidates

    The number in each set is hypergeometric: k_a k_b / n on average (Feller 1968, "An Introduction to
    Probability Theory", vol. 1, section II.6); sets are independent.
    """
    mean = variance = 0.0
    for one, other, candidates in budgets:
        if candidates:
            mean += one * other / candidates
        if candidates > 1:
            kept = (candidates - one) * (candidates - other)
            variance += one * other / candidates * kept / candidates / (candidates - 1)
    return Spread(mean, math.sqrt(variance))
