"""Turnover from stored wirings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.analysis.measure import WHOLE, Place
from dnw_graph.analysis.stored import StoredWirings, stored_wirings
from dnw_graph.analysis.turnover import (
    age_numbers,
    ages_by_epoch,
    remaining_by_chance,
    turnover_numbers,
    turnover_of,
)
from dnw_graph.errors import InputError
from dnw_graph.graph.layout import chain_of_stages

LAYOUT = chain_of_stages([(2, 3, 1, 1), (3, 2, 1, 1)])


def stored(*wirings: tuple[set[int], ...], epochs: tuple[int, ...] = ()) -> StoredWirings:
    ids = tuple(tuple(np.array(sorted(each), dtype=np.int64) for each in stages) for stages in wirings)
    return StoredWirings(LAYOUT, epochs or tuple(range(len(wirings))), ids)


def test_turnover_by_hand():
    """Stage 0: 4 enters and 1 leaves, then 1 comes back and 2 leaves; stage 1 never changes."""
    history = stored(({0, 1, 2}, {5}), ({0, 2, 4}, {5}), ({0, 1, 4}, {5}))
    found = turnover_of(history)
    assert found.epochs.tolist() == [1, 2]
    assert found.edges.tolist() == [4, 4]
    assert found.entered.tolist() == found.left.tolist() == [1, 1]
    assert found.returned.tolist() == [0, 1]
    assert found.remaining.tolist() == [3, 3]
    assert found.ages.tolist() == [2, 0, 1, 2]


def test_turnover_numbers_by_hand():
    """Of 3 edges among 6 candidates, 3 · 3 / 6 would remain by chance, and of one, 1 / 6."""
    history = stored(({0, 1, 2}, {5}), ({0, 2, 4}, {5}))
    numbers, chances = turnover_numbers(history)
    assert numbers[Place(bin=1), "entered_share"] == 1 / 4
    assert numbers[Place(bin=1), "remaining_share"] == 3 / 4
    assert chances[Place(bin=1), "remaining"] == remaining_by_chance(history)[0]
    assert chances[Place(bin=1), "remaining"].mean == pytest.approx(3 / 2 + 1 / 6)
    assert age_numbers(history) == {
        (Place(bin=0), "edges"): 1,
        (Place(bin=0), "share"): 1 / 4,
        (Place(bin=1), "edges"): 3,
        (Place(bin=1), "share"): 3 / 4,
        (WHOLE, "mean_age"): 3 / 4,
    }


def test_ages_at_every_stored_epoch_by_hand():
    """Edge 1 of stage 0 comes back: it is new again."""
    history = stored(({0, 1}, {5}), ({0, 2}, {5}), ({0, 1}, set()), epochs=(0, 10, 30))
    assert [ages.tolist() for ages in ages_by_epoch(history)] == [[0, 0, 0], [10, 0, 10], [30, 0]]


def test_gaps_between_stored_epochs_count_in_the_ages():
    found = turnover_of(stored(({0}, {0}), ({1}, {0}), ({1}, {0}), epochs=(0, 10, 30)))
    assert found.epochs.tolist() == [10, 30]
    assert found.ages.tolist() == [20, 30]


def test_one_stored_wiring_has_no_turnover():
    numbers, chances = turnover_numbers(stored(({0, 1}, {2})))
    assert (numbers, chances) == ({}, {})
    assert age_numbers(stored(({0, 1}, {2})))[WHOLE, "mean_age"] == 0


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_sets_say_the_same(data):
    """Any numbers of edges, by the definitions in words."""
    some = st.tuples(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)))
    wirings = data.draw(st.lists(some, min_size=1, max_size=5))
    found = turnover_of(stored(*wirings))
    flat = [{(stage, edge) for stage, ids in enumerate(each) for edge in ids} for each in wirings]
    for row in range(len(flat) - 1):
        before, now = flat[row], flat[row + 1]
        assert found.edges[row] == len(now)
        assert found.entered[row] == len(now - before)
        assert found.left[row] == len(before - now)
        assert found.returned[row] == len((now - before) & set().union(*flat[: row + 1]))
        assert found.remaining[row] == len(now & flat[0])

    def age(edge: tuple[int, int]) -> int:
        return next((n for n, each in enumerate(reversed(flat)) if edge not in each), len(flat)) - 1

    assert found.ages.tolist() == [age(edge) for edge in sorted(flat[-1])]


def test_stored_wirings_of_a_run(tmp_path, make_run):
    run = make_run(tmp_path / "run", stored=[[1, 5, 7], [1, 5, 9]])
    from dnw_graph.analysis.source import read_source

    source = read_source(run)
    assert source.stored.epochs == (0, 1, 2)
    assert source.stored.ids[2][0].tolist() == [1, 5, 9]
    assert source.stored.ids[0][0].tolist() == source.wiring.id.tolist()


def test_wirings_of_another_network_are_refused(tmp_path, make_run):
    run = make_run(tmp_path / "run", stored=[[264_960]])
    from dnw_graph.analysis.source import wiring_of

    with pytest.raises(InputError, match=r"wiring of epoch 1 does not fit stage 0"):
        wiring_of(run)
    with pytest.raises(InputError, match=r"wiring of epoch 0 does not fit stage 0"):
        stored_wirings(run, LAYOUT)
    with pytest.raises(InputError, match=r"nowhere: has no stored wirings"):
        stored_wirings(tmp_path / "nowhere", LAYOUT)
