"""The weights' distribution."""

from __future__ import annotations

import numpy as np
import pytest

from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.weights import WEIGHT_PAIRS, WEIGHTS, percentiles_of
from dnw_graph.errors import InputError


def test_weights_of_nine_nodes(nine):
    """Stage 0: 2, 0.5, -1, 3; stage 1: 1, 2, -2."""
    numbers = WEIGHTS.numbers(nine)
    assert numbers[Place(stage=0), "negative_share"] == 0.25
    assert numbers[Place(stage=1), "mean"] == pytest.approx(1 / 3)
    assert numbers[Place(stage=0), "sd"] == pytest.approx(np.sqrt(36.75) / 4)
    assert [numbers[Place(stage=0), f"magnitude_{n}"] for n in (0, 50, 100)] == [0.5, 1.5, 3]
    assert (numbers[WHOLE, "negative_share"], numbers[WHOLE, "magnitude_50"]) == (2 / 7, 2)


def test_magnitudes_from_level_to_level(nine):
    assert WEIGHT_PAIRS.numbers(nine) == {
        (Place(level=0, to_level=1), "mean_magnitude"): 2,
        (Place(level=0, to_level=2), "mean_magnitude"): 0.5,
        (Place(level=1, to_level=2), "mean_magnitude"): 2,
        (Place(level=2, to_level=3), "mean_magnitude"): pytest.approx(5 / 3),
    }


def test_percentiles_interpolate_between_neighbours():
    assert percentiles_of(np.array([-4.0, 0.0, 2.0])).tolist() == pytest.approx([0, 0.2, 1, 2, 3, 3.8, 4])


def test_random_graphs_have_no_weights(nine):
    (drawn,) = RandomGraphs(1).like(nine)
    with pytest.raises(InputError, match="without weights"):
        WEIGHTS.numbers(drawn)
