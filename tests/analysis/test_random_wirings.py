"""Random graphs of equal budget."""

from __future__ import annotations

import numpy as np

from dnw_graph.analysis.random_wirings import random_wirings
from dnw_graph.analysis.wiring import wiring_from_ids


def test_draws_have_the_budget_of_each_stage(nine):
    for drawn in random_wirings(nine, 20):
        assert drawn.budgets == (4, 3)
        for stage in nine.layout.stages:
            ids = drawn.ids_of(stage.index)
            assert (np.diff(ids) > 0).all()
            assert 0 <= ids[0] <= ids[-1] < stage.num_candidates
        assert drawn.weight is None
        assert (drawn.read == nine.read).all()


def test_draws_depend_on_seed_and_number_alone(nine):
    few, many = list(random_wirings(nine, 2, seed=3)), list(random_wirings(nine, 8, seed=3))
    assert [each.id.tolist() for each in few] == [each.id.tolist() for each in many[:2]]
    assert len({tuple(each.id.tolist()) for each in many}) > 4
    others = [each.id.tolist() for each in random_wirings(nine, 8, seed=4)]
    assert others != [each.id.tolist() for each in many]


def test_every_candidate_is_as_likely(layouts):
    """How often 2,000 draws take each of the 40 and 63 candidates, within five standard deviations."""
    layout = layouts["chain"]
    start = wiring_from_ids(layout, [np.arange(7), np.arange(24)])
    counts = [np.zeros(stage.num_candidates) for stage in layout.stages]
    for drawn in random_wirings(start, 2000):
        for stage, count in enumerate(counts):
            count[drawn.ids_of(stage)] += 1
    for stage, budget in enumerate((7, 24)):
        share = budget / len(counts[stage])
        assert np.abs(counts[stage] - 2000 * share).max() < 5 * np.sqrt(2000 * share * (1 - share))
