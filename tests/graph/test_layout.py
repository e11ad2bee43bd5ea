"""Numbering of nodes and candidate edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.graph.layout import Layout, chain_of_stages, groups_with_readout
from dnw_graph.models.mobilenet_v1 import PUBLISHED_BLOCKS
from dnw_graph.models.tiny_static import PUBLISHED_GROUPS, PUBLISHED_READOUT

sizes = st.integers(1, 6)


@st.composite
def chains(draw: st.DrawFn) -> Layout:
    inputs, table = draw(sizes), []
    for _ in range(draw(st.integers(1, 3))):
        width = draw(sizes)
        table.append((inputs, width, draw(st.integers(1, 3)), draw(st.integers(1, 4))))
        inputs = width
    return chain_of_stages(table)


@st.composite
def readouts(draw: st.DrawFn) -> Layout:
    groups = draw(st.lists(sizes, min_size=1, max_size=5))
    return groups_with_readout(groups, draw(st.integers(1, groups[-1])))


layouts = st.one_of(chains(), readouts())


@given(layouts)
@settings(max_examples=60, deadline=None)
def test_ids_and_ends_are_inverse_and_leave_no_position_unused(layout):
    for stage in layout.stages:
        ids = np.arange(stage.num_candidates)
        source, target = stage.ends(ids)
        assert (stage.ids(source, target) == ids).all()
        assert len(set(zip(source.tolist(), target.tolist(), strict=True))) == stage.num_candidates


@pytest.mark.parametrize("wrong", [-1, 12])
def test_an_id_that_no_candidate_has_is_refused(wrong):
    """Levels of 2, 2 and 2 nodes: 2 · 4 + 2 · 2 candidates."""
    (stage,) = chain_of_stages([(2, 2, 1, 2)]).stages
    with pytest.raises(ValueError, match=f"stage 0 has no candidate edge {wrong}; ids run from 0 to 11"):
        stage.ends(np.array([3, wrong]))


@given(layouts)
@settings(max_examples=60, deadline=None)
def test_candidates_are_the_pairs_from_a_lower_to_a_higher_level_of_one_stage(layout):
    for stage in layout.stages:
        expected = set()
        for lower in stage.levels:
            for higher in stage.levels:
                if higher.index <= lower.index:
                    continue
                if stage.start and higher is layout.levels[-1] and lower.index != higher.index - 1:
                    continue  # readout nodes hear the last group only
                expected |= {
                    (u, v) for u in range(lower.first, lower.end) for v in range(higher.first, higher.end)
                }
        source, target = stage.ends(np.arange(stage.num_candidates))
        assert set(zip(source.tolist(), target.tolist(), strict=True)) == expected


@given(layouts)
@settings(max_examples=60, deadline=None)
def test_pairs_that_are_no_candidates_have_id_minus_one(layout):
    nodes = np.arange(layout.num_nodes)
    source, target = (ends.ravel() for ends in np.meshgrid(nodes, nodes))
    found = sum(int((stage.ids(source, target) >= 0).sum()) for stage in layout.stages)
    assert found == layout.num_candidates


@given(layouts)
@settings(max_examples=60, deadline=None)
def test_levels_number_the_nodes_without_a_gap_and_blocks_the_ids(layout):
    assert layout.levels[0].first == 0
    assert [level.first for level in layout.levels[1:]] == [level.end for level in layout.levels[:-1]]
    assert [level.sends for level in layout.levels] == [True] * (len(layout.levels) - 1) + [False]
    for stage in layout.stages:
        assert stage.blocks[0].offset == 0
        assert [block.offset for block in stage.blocks[1:]] == [block.end for block in stage.blocks[:-1]]


def test_ids_of_a_block_run_row_by_row():
    """Levels 0: {0, 1}, 1: {2, 3}, 2: {4, 5}; the first block is [nodes 2..5, nodes 0..1]."""
    (stage,) = chain_of_stages([(2, 2, 1, 2)]).stages
    source, target = stage.ends(np.arange(12))
    assert source.tolist() == [0, 1, 0, 1, 0, 1, 0, 1, 2, 3, 2, 3]
    assert target.tolist() == [2, 2, 3, 3, 4, 4, 5, 5, 4, 4, 5, 5]


def test_imagenet_network_has_14_levels_5984_nodes_and_6981632_candidates():
    layout = chain_of_stages(PUBLISHED_BLOCKS)
    assert len(layout.levels) == 14
    assert layout.num_nodes == 5984
    # 32·64 + (64·256 + 128·128) + (128·512 + 256·256)
    # + 512·(256·6 + 512·(5 + 4 + 3 + 2 + 1)) + (512·2048 + 1024·1024)
    assert [stage.num_candidates for stage in layout.stages] == [2048, 32768, 131072, 4718592, 2097152]
    assert layout.num_candidates == 6_981_632


def test_imagenet_network_has_maps_of_112_to_7_pixels():
    layout = chain_of_stages(PUBLISHED_BLOCKS)
    sides = layout.resolutions(112)
    assert sides == [112] * 2 + [56] * 2 + [28] * 2 + [14] * 6 + [7] * 2
    assert [level.stride for level in layout.levels] == [1, 2, 1, 2, 1, 2] + [1] * 5 + [2, 1, 1]
    assert layout.resolutions(97)[-1] == 7
    assert layout.resolutions(33) == [33] * 2 + [17] * 2 + [9] * 2 + [5] * 6 + [3] * 2


def test_tiny_network_has_six_levels_900_nodes_and_264960_candidates():
    layout = groups_with_readout(PUBLISHED_GROUPS, PUBLISHED_READOUT)
    assert [level.size for level in layout.levels] == [32, 192, 192, 192, 192, 100]
    assert layout.num_nodes == 900
    # 32·768 + 192·(576 + 384 + 192 + 100)
    assert layout.num_candidates == 264_960
    assert layout.carried_from().tolist() == [-1] * 800 + list(range(700, 800))


def test_dense_edges_are_those_of_the_layers_in_a_row():
    stages = chain_of_stages(PUBLISHED_BLOCKS).stages
    assert [stage.dense_edges for stage in stages] == [
        32 * 64,
        64 * 128 + 128 * 128,
        128 * 256 + 256 * 256,
        256 * 512 + 5 * 512 * 512,
        512 * 1024 + 1024 * 1024,
    ]


def test_a_stage_that_does_not_continue_the_last_is_refused():
    with pytest.raises(ValueError, match="stage 1 wants 5 input nodes, but the level before has 4"):
        chain_of_stages([(2, 4, 1, 1), (5, 6, 2, 1)])


def test_more_readout_nodes_than_the_last_group_has_are_refused():
    with pytest.raises(ValueError, match="4 readout nodes"):
        groups_with_readout([2, 3], 4)
