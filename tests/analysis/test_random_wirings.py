"""Random graphs of equal budget."""

from __future__ import annotations

import numpy as np
import pytest

from dnw_graph.analysis.densities import densities_of
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.wiring import wiring_from_ids
from dnw_graph.errors import InputError


def test_draws_have_the_budget_of_each_stage(nine):
    for drawn in RandomGraphs(20).like(nine):
        assert drawn.budgets == (4, 3)
        for stage in nine.layout.stages:
            ids = drawn.ids_of(stage.index)
            assert (np.diff(ids) > 0).all()
            assert 0 <= ids[0] <= ids[-1] < stage.num_candidates
        assert drawn.weight is None
        assert (drawn.read == nine.read).all()


def test_draws_depend_on_seed_and_number_alone(nine):
    few, many = list(RandomGraphs(2, seed=3).like(nine)), list(RandomGraphs(8, seed=3).like(nine))
    assert [each.id.tolist() for each in few] == [each.id.tolist() for each in many[:2]]
    assert len({tuple(each.id.tolist()) for each in many}) > 4
    others = [each.id.tolist() for each in RandomGraphs(8, seed=4).like(nine)]
    assert others != [each.id.tolist() for each in many]


def test_every_candidate_is_as_likely(layouts):
    """How often 2,000 draws take each of the 40 and 63 candidates, within five standard deviations."""
    layout = layouts["chain"]
    start = wiring_from_ids(layout, [np.arange(7), np.arange(24)])
    counts = [np.zeros(stage.num_candidates) for stage in layout.stages]
    for drawn in RandomGraphs(2000).like(start):
        for stage, count in enumerate(counts):
            count[drawn.ids_of(stage)] += 1
    for stage, budget in enumerate((7, 24)):
        share = budget / len(counts[stage])
        assert np.abs(counts[stage] - 2000 * share).max() < 5 * np.sqrt(2000 * share * (1 - share))


def test_pairs_of_levels_keep_their_edges_if_asked(layouts):
    """40 draws have the densities of the wiring, and mostly not its edges."""
    for layout in layouts.values():
        first = wiring_from_ids(layout, [np.arange(0, stage.num_candidates, 3) for stage in layout.stages])
        drawn = list(RandomGraphs(40, keep="pairs").like(first))
        assert all((densities_of(each).edges == densities_of(first).edges).all() for each in drawn)
        assert len({tuple(each.id.tolist()) for each in drawn}) == 40
        seen = np.unique(np.concatenate([each.ids_of(0) for each in drawn]))
        assert len(seen) == layout.stages[0].num_candidates


def test_which_wirings_have_the_same_random_graphs(nine):
    """Other edges in the same stages: the same for stages, others for pairs."""
    other = wiring_from_ids(nine.layout, [np.array([0, 1, 2, 3]), np.array([0, 1, 2])])
    fewer = wiring_from_ids(nine.layout, [np.array([0, 1, 2]), np.array([0, 1, 2])])
    assert RandomGraphs().same_for(nine, other)
    assert not RandomGraphs().same_for(nine, fewer)
    assert not RandomGraphs(keep="pairs").same_for(nine, other)
    assert RandomGraphs(keep="pairs").same_for(nine, nine)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"draws": -1}, "-1 random graphs cannot be drawn"),
        ({"seed": -1}, "seed -1 of the random graphs"),
        ({"keep": "degrees"}, "keep 'degrees' is unknown; use stages or pairs"),
    ],
)
def test_what_cannot_be_drawn(options, words):
    with pytest.raises(InputError, match=words):
        RandomGraphs(**options)
