"""Index tensors: of one block, of a whole stage, and which of them a new wiring leaves alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.graph.layout import Block, chain_of_stages, groups_with_readout
from dnw_graph.message_passing.edge_index import EdgeIndex, rows_of
from dnw_graph.message_passing.stage_index import StageIndices, index_of_stage

STAGES = (
    chain_of_stages([(3, 4, 1, 3)]).stages[0],
    chain_of_stages([(2, 5, 1, 1)]).stages[0],
    groups_with_readout((2, 3, 4), 2).stages[0],
)


@st.composite
def wirings(draw):
    """(a stage, ascending ids of some of its candidates)."""
    stage = draw(st.sampled_from(STAGES))
    flags = draw(st.lists(st.booleans(), min_size=stage.num_candidates, max_size=stage.num_candidates))
    return stage, torch.tensor(flags).nonzero().squeeze(1)


def ends(block: Block, index: EdgeIndex) -> set[tuple[int, int]]:
    """(source, target) node numbers of a block's edges."""
    rows = rows_of(index.pointer, index.num_edges)
    return {
        (block.source + column, block.target + row)
        for column, row in zip(index.source.tolist(), rows.tolist(), strict=True)
    }


@given(wirings())
@settings(max_examples=100, deadline=None)
def test_blocks_hold_the_edges_of_the_wiring(wiring):
    stage, ids = wiring
    indices = StageIndices(stage.blocks)
    for may_wait in (True, False):
        indices.update(ids, may_wait=may_wait)
        found = [ends(block, each) for block, each in zip(stage.blocks, indices.blocks(), strict=True)]
        source, target = stage.ends(ids.numpy())
        assert set().union(*found) == set(zip(source.tolist(), target.tolist(), strict=True))
        assert sum(map(len, found)) == len(ids)
        for block, each in zip(stage.blocks, indices.blocks(), strict=True):
            assert each.pointer.numel() == block.num_targets + 1
            assert each.position.tolist() == sorted(each.position.tolist())
            assert {part.dtype for part in (each.pointer, each.source, each.position)} == {torch.int64}


@given(wirings())
@settings(max_examples=100, deadline=None)
def test_the_whole_index_is_its_blocks_one_after_another(wiring):
    stage, ids = wiring
    indices = StageIndices(stage.blocks)
    indices.update(ids, may_wait=True)
    whole = indices.whole()
    assert whole.position.tolist() == ids.tolist()
    for number, each in enumerate(indices.blocks()):
        mine = whole.block(number)
        assert (mine.num_targets, mine.num_sources) == (each.num_targets, each.num_sources)
        bounds = mine.pointer[mine.rows.start : mine.rows.stop + 1]
        assert (bounds - bounds[0]).tolist() == each.pointer.tolist()
        edges = slice(int(bounds[0]), int(bounds[-1]))
        assert (mine.source[edges] - mine.columns.start).tolist() == each.source.tolist()
        assert (mine.position[edges] - stage.blocks[number].offset).tolist() == each.position.tolist()


@given(wirings())
@settings(max_examples=50, deadline=None)
def test_the_whole_index_by_source_is_that_of_its_blocks(wiring):
    stage, ids = wiring
    indices = StageIndices(stage.blocks)
    indices.update(ids, may_wait=True)
    whole, before = index_of_stage(ids, stage.blocks), 0
    order, pointer, row = whole.by_source()
    for number, each in enumerate(indices.blocks()):
        mine = whole.block(number)
        bounds = pointer[mine.columns.start : mine.columns.stop + 1]
        edges = slice(int(bounds[0]), int(bounds[-1]))
        expected_order, expected, expected_row = each.by_source()
        assert (bounds - bounds[0]).tolist() == expected.tolist()
        assert (order[edges] - before).tolist() == expected_order.tolist()
        assert (row[edges] - mine.rows.start).tolist() == expected_row.tolist()
        before += each.num_edges


@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_by_source_is_a_stable_sort_by_source(seed, edges):
    chosen = np.sort(np.random.default_rng(seed).permutation(60)[:edges])
    index = EdgeIndex.of_positions(torch.from_numpy(chosen), 10, 6)
    order, pointer, target = index.by_source()
    expected = torch.argsort(index.source, stable=True)
    assert order.tolist() == expected.tolist()
    assert target.tolist() == rows_of(index.pointer, edges)[expected].tolist()
    assert pointer.tolist() == torch.searchsorted(index.source[expected], torch.arange(7)).tolist()
    assert {each.dtype for each in (order, pointer, target)} == {torch.int64}


def test_a_new_wiring_leaves_the_tensors_of_untouched_blocks_alone():
    """Two levels of 2 nodes reach on: ids 0 to 7 leave level 0, ids 8 to 11 level 1."""
    (stage,) = chain_of_stages([(2, 2, 1, 2)]).stages
    indices = StageIndices(stage.blocks)
    indices.update(torch.tensor([0, 3, 9]), may_wait=True)
    first, second = indices.blocks()
    indices.update(torch.tensor([0, 4, 9]), may_wait=True)
    assert indices.blocks()[0].position.tolist() == [0, 4]
    assert indices.blocks()[1] is second
    # The second block's edge is the same, though an edge fewer comes before it.
    indices.update(torch.tensor([0, 9]), may_wait=True)
    assert indices.blocks()[1] is second
    assert indices.blocks()[0] is not first
    indices.update(torch.tensor([0, 9, 10]), may_wait=True)
    assert [each.position.tolist() for each in indices.blocks()] == [[0], [1, 2]]
    indices.update(torch.empty(0, dtype=torch.int64), may_wait=True)
    assert [each.num_edges for each in indices.blocks()] == [0, 0]


@pytest.mark.parametrize("may_wait", [True, False])
def test_a_copy_goes_its_own_way(may_wait):
    (stage,) = chain_of_stages([(2, 2, 1, 2)]).stages
    indices = StageIndices(stage.blocks)
    indices.update(torch.tensor([0, 3, 9]), may_wait=may_wait)
    twin = copy.deepcopy(indices)
    indices.update(torch.tensor([1]), may_wait=may_wait)
    assert [each.position.tolist() for each in twin.blocks()] == [[0, 3], [1]]
    assert [each.position.tolist() for each in indices.blocks()] == [[1], []]
