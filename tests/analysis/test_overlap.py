"""Overlap of two wirings, and of chance."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.analysis.chance import Spread, common_by_chance, spread_of
from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.overlap import kinds_of, overlap_numbers, overlaps_of, sum_of
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.wiring import wiring_from_ids
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import chain_of_stages


def test_overlap_by_hand(nine):
    """Nine nodes have ids 0 4 8 11 | 0 1 3; the other has 0 4 9 | 0 2 3: 2 of 5 and 2 of 4 in common."""
    other = wiring_from_ids(nine.layout, [np.array([0, 4, 9]), np.array([0, 2, 3])])
    first, second = overlaps_of(nine, other)
    assert (first.one, first.other, first.common, first.jaccard) == (4, 3, 2, 2 / 5)
    assert (second.one, second.other, second.common, second.jaccard) == (3, 3, 2, 1 / 2)
    assert first.by_chance.mean == pytest.approx(4 * 3 / 12)
    # Levels 0 → 1: 1 and 1 of 4 candidates; 0 → 2: 1 and 1 of 4; 1 → 2: 2 and 1 of 4.
    assert first.by_density.mean == pytest.approx(1 / 4 + 1 / 4 + 2 / 4)
    assert second.by_density == second.by_chance
    whole = sum_of((first, second))
    assert (whole.one, whole.other, whole.common, whole.jaccard) == (7, 6, 4, 4 / 9)
    assert whole.by_chance.mean == pytest.approx(1 + 3 / 2)
    assert whole.by_chance.sd == pytest.approx(np.hypot(first.by_chance.sd, second.by_chance.sd))


def test_nodes_of_one_kind_have_the_same_candidates(layouts):
    """Levels are kinds; the last three of level 2, from which the readout nodes start, are another."""
    assert kinds_of(layouts["chain"]).tolist() == [0] * 3 + [1] * 4 + [2] * 4 + [3] * 3 + [4] * 3 + [5] * 3
    assert kinds_of(layouts["readout"]).tolist() == [0] * 3 + [1] * 4 + [2] + [6] * 3 + [3] * 3


def test_chance_by_density_knows_the_kinds(layouts):
    """Both wirings have all 9 candidates between 3 twins and 3 readout nodes, and no other edge."""
    (stage,) = layouts["readout"].stages
    source, target = np.meshgrid([8, 9, 10], [11, 12, 13])
    wiring = wiring_from_ids(layouts["readout"], [stage.ids(source.ravel(), target.ravel())])
    (found,) = overlaps_of(wiring, wiring)
    assert found.by_density == (9, 0, None)
    assert found.by_chance.mean == pytest.approx(81 / stage.num_candidates)


def test_overlap_numbers(nine):
    numbers, chances = overlap_numbers(nine, nine)
    assert numbers[WHOLE, "jaccard"] == numbers[Place(stage=1), "jaccard_by_density"] == 1
    assert numbers[WHOLE, "common"] == numbers[WHOLE, "edges"] == numbers[WHOLE, "other_edges"] == 7
    # 3 · 3 / 6 of 6 edges in common: 1.5 / 4.5.
    assert chances[Place(stage=1), "jaccard"].mean == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("one", "other", "candidates"), [(2, 3, 6), (1, 1, 1), (0, 2, 4), (4, 4, 4), (3, 2, 5)]
)
def test_chance_is_that_of_all_pairs_of_draws(one, other, candidates):
    common = [
        len(set(a) & set(b))
        for a in combinations(range(candidates), one)
        for b in combinations(range(candidates), other)
    ]
    found = common_by_chance([(one, other, candidates)])
    assert found.mean == pytest.approx(np.mean(common))
    assert found.sd == pytest.approx(np.std(common))


def test_random_wirings_overlap_as_chance_says():
    """400 draws: the mean is within four standard errors, the spread within a fifth."""
    layout = chain_of_stages([(10, 20, 1, 2), (20, 10, 1, 1)])
    start = wiring_from_ids(layout, [np.arange(120), np.arange(80)])
    found = [sum_of(overlaps_of(start, drawn)) for drawn in RandomGraphs(400).like(start)]
    chance = found[0].by_chance
    jaccard = found[0].jaccard_of(chance)
    for values, spread in (
        ([each.common for each in found], chance),
        ([each.jaccard for each in found], jaccard),
    ):
        assert abs(np.mean(values) - spread.mean) < 4 * spread.sd / 20
        assert np.std(values) == pytest.approx(spread.sd, rel=0.2)


@given(values=st.lists(st.integers(-1000, 1000), min_size=2))
@settings(max_examples=30, deadline=None)
def test_the_spread_is_mean_and_sample_deviation(values):
    found = spread_of(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.sd == pytest.approx(np.std(values, ddof=1))
    assert found.draws == len(values)


def test_spreads_of_one_and_of_huge_values():
    assert spread_of([3]) == Spread(3.0, None, 1)
    huge = 10**400
    assert spread_of([huge, 3 * huge]) == Spread(2 * huge, 14142 * huge // 10**4, 2)._replace(
        sd=spread_of([huge, 3 * huge]).sd
    )
    assert abs(spread_of([huge, 3 * huge]).sd ** 2 - 2 * huge**2) < 4 * huge


def test_other_networks_are_refused(nine, layouts):
    other = wiring_from_ids(layouts["chain"], [np.array([0]), np.array([0])])
    with pytest.raises(InputError, match=r"\(9 and 20 nodes\) are of different networks"):
        overlaps_of(nine, other)
