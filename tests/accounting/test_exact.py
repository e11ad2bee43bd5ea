"""Exact counts of bodies given as plain arrays, against numbers made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dnw_graph.accounting.exact import GraphArrays, convolving_nodes, count_stages


def arrays(**values) -> GraphArrays:
    values["has_operation"] = np.array(values["has_operation"], dtype=bool)
    return GraphArrays(**{name: np.asarray(value) for name, value in values.items()})


@pytest.fixture
def nine_nodes() -> GraphArrays:
    """Stem 0-2 (4x4) | 3-5 (4x4, stride 2) | 6-7, 8 (2x2); 2 and 5 are dead, 7 hears nothing: constant."""
    edges = [(0, 3), (1, 3), (1, 4), (2, 5), (3, 6), (3, 8), (4, 8), (6, 8), (7, 8)]
    return arrays(
        level=[0, 0, 0, 1, 1, 1, 2, 2, 3],
        stage=[-1, -1, -1, 0, 0, 0, 1, 1, 1],
        resolution=[4, 4, 4, 4, 4, 4, 2, 2, 2],
        stride=[1, 1, 1, 2, 2, 2, 1, 1, 1],
        status=[2, 2, 0, 2, 2, 0, 2, 1, 2],
        has_operation=[1, 1, 1, 1, 1, 1, 1, 1, 0],
        source=[u for u, _ in edges],
        target=[v for _, v in edges],
    )


def test_first_stage_by_hand(nine_nodes):
    stage = count_stages(nine_nodes)[0]
    assert (stage.nodes, stage.edges, stage.convolutions) == (2, 3, 2)
    assert stage.macs == 2 * 9 * 16 + 3 * 16
    assert stage.params == 2 * 9 + 3


def test_second_stage_by_hand(nine_nodes):
    """Nodes 3 and 4 pay for their convolution here, at the resolution after its stride."""
    stage = count_stages(nine_nodes)[1]
    assert (stage.nodes, stage.edges, stage.convolutions) == (2, 4, 3)
    assert stage.macs == 3 * 9 * 4 + 4 * 4
    assert stage.params == 3 * 9 + 4


def test_flops_are_two_per_mac(nine_nodes):
    assert count_stages(nine_nodes)[0].flops == 2 * (288 + 48)


def test_dead_and_constant_nodes_cost_nothing(nine_nodes):
    assert convolving_nodes(nine_nodes).nonzero()[0].tolist() == [0, 1, 3, 4, 6]


def test_stride_on_an_odd_side_rounds_up(nine_nodes):
    """A stride-2 convolution of 5x5 has 3x3 outputs."""
    odd = replace(
        nine_nodes, resolution=np.array([5, 5, 5, 5, 5, 5, 3, 3, 3]), stride=nine_nodes.stride.copy()
    )
    first, second = count_stages(odd)
    assert first.macs == 2 * 9 * 25 + 3 * 25
    assert second.macs == 3 * 9 * 9 + 4 * 9


def test_a_node_that_lives_by_its_carry_alone_convolves_like_any_live_node():
    """0 -> 1 ~carry~> 2: the readout takes the state of 1; every live node's convolution counts."""
    graph = arrays(
        level=[0, 1, 2],
        stage=[-1, 0, 0],
        resolution=[8, 8, 8],
        stride=[1, 1, 1],
        status=[2, 2, 2],
        has_operation=[1, 1, 0],
        source=[0],
        target=[1],
    )
    (stage,) = count_stages(graph)
    assert (stage.nodes, stage.edges, stage.convolutions) == (2, 1, 2)
    assert stage.macs == 2 * 9 * 64 + 64


def test_a_stage_without_live_edges_costs_nothing(nine_nodes):
    dead = replace(nine_nodes, status=np.zeros(9, dtype=int))
    assert [(s.nodes, s.edges, s.params, s.macs) for s in count_stages(dead)] == [(0, 0, 0, 0)] * 2


def test_published_random_network_has_two_dead_stem_channels():
    """Width 0.225, every node alive but two stem channels: 55,663,655 MACs with stem and classifier."""
    levels = [(32, -1, 112, 1), (64, 0, 112, 2), (128, 1, 56, 1), (128, 1, 56, 2), (256, 2, 28, 1)]
    levels += [(256, 2, 28, 2), *[(512, 3, 14, 1)] * 5, (512, 3, 14, 2), (1024, 4, 7, 1), (1024, 4, 7, 1)]
    budget = [104, 1245, 4977, 72991, 79627]
    level = np.concatenate([np.full(nodes, number) for number, (nodes, *_) in enumerate(levels)])
    stage, resolution, stride = (
        np.concatenate([np.full(row[0], row[column]) for row in levels]) for column in (1, 2, 3)
    )
    status = np.full(len(level), 2)
    status[:2] = 0
    source, target = [], []
    for number, edges in enumerate(budget):
        receives = np.flatnonzero(stage == number)
        last, before = level[receives].max(), level[receives].min() - 1
        sends = np.flatnonzero((level >= before) & (level < last) & (status == 2))
        # Every sender once, and then again until the budget is spent; the last level receives all of them.
        source.append(np.resize(sends, edges))
        target.append(np.resize(np.flatnonzero(level == last), edges))
    graph = GraphArrays(
        level, stage, resolution, stride, status, level < 13, np.concatenate(source), np.concatenate(target)
    )
    stages = count_stages(graph)
    assert [s.edges for s in stages] == budget
    assert sum(s.convolutions for s in stages) == 5984 - 2 - 1024
    assert 27 * 30 * 112**2 + sum(s.macs for s in stages) + 1024 * 1000 == 55_663_655
