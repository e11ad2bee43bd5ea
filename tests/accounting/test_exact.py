"""Exact counts of networks that are small enough, or plain enough, to be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import dnw_graph as dg
from dnw_graph.models.lower import lower
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_dynamic import tiny_discrete_time
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.program.split import split


def wire(model, edges):
    """Select these edges (u, v), by the nodes' numbers, and no others."""
    for _, wired in model.wired_stages():
        ids = [
            block.offset + (v - block.target) * block.num_sources + u - block.source
            for block in wired.stage.blocks
            for u, v in edges
            if block.source <= u < block.source + block.num_sources
            and block.target <= v < block.target + block.num_targets
        ]
        wired.select(torch.tensor(sorted(ids), dtype=torch.int64))
    return model


EDGES = [(0, 3), (1, 3), (1, 4), (2, 5), (3, 6), (3, 8), (4, 8), (6, 8), (7, 8)]


def ten_nodes(image_size: int = 4, edges=EDGES):
    """Stem 0-2 (4×4) | 3-5 (4×4, stride 2) | 6-7, 8-9 (2×2).

    2 and 5 are dead, 7 and 9 hear nothing: constant.
    """
    blocks = ((3, 3, 1, 1), (3, 2, 2, 2))
    model = mobilenet_v1(rule="top_k", num_classes=2, image_size=image_size, density=1.0, blocks=blocks)
    return wire(model, edges)


def test_first_stage_by_hand():
    stage = dg.count(ten_nodes()).stages[0]
    assert (stage.nodes, stage.edges, stage.convolutions) == (2, 3, 2)
    assert stage.macs == 2 * 9 * 16 + 3 * 16
    assert stage.params == 2 * 9 + 3


def test_second_stage_by_hand():
    """Nodes 3 and 4 pay for their convolution here, at the resolution after its stride."""
    stage = dg.count(ten_nodes()).stages[1]
    assert (stage.nodes, stage.edges, stage.convolutions) == (2, 4, 3)
    assert stage.macs == 3 * 9 * 4 + 4 * 4
    assert stage.params == 3 * 9 + 4


def test_stem_and_classifier_have_live_channels_only():
    """Stem channels 0 and 1, 27 weights each; node 8 to two classes. Node 9 is constant: folded."""
    report = dg.count(ten_nodes())
    assert (report.stem.params, report.stem.macs) == (2 * 27, 2 * 27 * 16)
    assert (report.head.params, report.head.macs) == (2, 2)


def test_flops_are_two_per_mac():
    assert dg.count(ten_nodes()).stages[0].flops == 2 * (288 + 48)


def test_dead_and_constant_nodes_cost_nothing():
    """0, 1 | 3, 4 | 6 convolve."""
    live, _ = split(lower(ten_nodes()))
    assert [live.channels[f"h{level}"] for level in range(3)] == [2, 2, 1]


def test_stride_on_an_odd_side_rounds_up():
    """A stride-2 convolution of 5×5 has 3×3 outputs."""
    first, second = dg.count(ten_nodes(image_size=5)).stages
    assert first.macs == 2 * 9 * 25 + 3 * 25
    assert second.macs == 3 * 9 * 9 + 4 * 9


def test_a_node_that_lives_by_its_carry_alone_convolves_like_any_live_node():
    """0 → 1 ~carry~> 2: the readout takes the state of 1; every live node's convolution counts."""
    model = tiny_static(rule="top_k", num_classes=2, groups=(1, 1), readout=1, stem_channels=1, density=1.0)
    (stage,) = dg.count(wire(model, [(0, 1)])).stages
    assert (stage.nodes, stage.edges, stage.convolutions) == (2, 1, 2)
    assert stage.macs == 2 * 9 * 64 + 64


def test_a_stage_without_live_edges_costs_nothing():
    report = dg.count(ten_nodes(edges=[]))
    assert [(s.nodes, s.edges, s.params, s.macs) for s in report.stages] == [(0, 0, 0, 0)] * 2


def live_wiring(model, dead: int):
    """Edges (u, v) within every stage's budget that leave no node out but the first `dead` of the stem."""
    edges = []
    for stage, budget in zip(model.layout.stages, model.budgets().values(), strict=True):
        found = set()
        for before, after in zip(stage.levels, stage.levels[1:], strict=False):
            first = before.first + (dead if before.index == 0 else 0)
            size = before.end - first
            # Every node sends, and every node hears.
            found |= {(first + n % size, after.first + n % after.size) for n in range(max(size, after.size))}
        last, before = stage.levels[-1], stage.levels[-2]
        senders = np.arange(before.first + (dead if before.index == 0 else 0), before.end)
        more = ((u, v) for u in senders.tolist() for v in range(last.first, last.end) if (u, v) not in found)
        edges += [*found, *(next(more) for _ in range(budget - len(found)))]
    return edges


def test_the_published_random_network_has_two_dead_stem_channels(request):
    """Width 0.225, every node alive but two stem channels: 55,663,655 MACs with stem and classifier."""
    model = dg.build_model(dg.load_config(request.config.rootpath / "configs/imagenet/random_x0.225.yaml"))
    report = dg.count(wire(model, live_wiring(model, dead=2)))
    assert [stage.edges for stage in report.stages] == [104, 1245, 4977, 72991, 79627]
    assert sum(stage.convolutions for stage in report.stages) == 5984 - 2 - 1024
    assert report.macs == 55_663_655


@pytest.mark.parametrize("times", [2, 5])
def test_discrete_time_costs_each_evaluation_and_has_its_parameters_once(times):
    """0 → 1, and 1 → 1 so that its state stays: two nodes, two edges, on 8×8 pixels."""
    model = tiny_discrete_time(
        rule="top_k",
        num_classes=2,
        density=1.0,
        nodes=2,
        inputs=1,
        readout=1,
        stem_channels=1,
        times=times,
    )
    (stage,) = dg.count(wire(model, [(0, 3), (1, 3)])).stages
    assert stage.params == 2 * 9 + 2
    assert stage.macs == times * (2 * 9 + 2) * 64
