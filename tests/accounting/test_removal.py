"""What is left after removing nodes: by hand, and against what the 2019 program kept."""

from __future__ import annotations

import pytest
import torch

import dnw_graph as dg
from dnw_graph.accounting.removal import (
    NO_OUTGOING_EDGE,
    NOT_LIVE,
    NOTHING,
    Left,
    after_removal,
    kept_in_2019,
)
from dnw_graph.errors import InputError
from dnw_graph.models.lower import lower
from dnw_graph.models.tiny_static import tiny_static


def test_nine_nodes_by_hand(nine_nodes):
    """2019: nodes 0, 2, 3, 4 and 5 send and 6 and 7 hear. Live: 0, 2, 4 and 6."""
    left = after_removal(nine_nodes)
    # Stem 2·27 weights at 64 pixels, six convolutions: four at 64 pixels, two at 16; edges: four at 64
    # pixels (0→2, 0→4, 2→4, 3→5) and three at 16; three channels to two classes.
    assert left[NOTHING] == Left(
        nodes=9,
        edges=7,
        params=2 * 27 + 6 * 9 + 7 + 6,
        macs=2 * 27 * 64 + 9 * (4 * 64 + 2 * 16) + 4 * 64 + 3 * 16 + 6,
    )
    # Channel 1 and its convolution are gone, and class weights of node 8.
    assert left[NO_OUTGOING_EDGE] == Left(
        nodes=7,
        edges=7,
        params=27 + 5 * 9 + 7 + 4,
        macs=27 * 64 + 9 * (3 * 64 + 2 * 16) + 4 * 64 + 3 * 16 + 4,
    )
    # So are 3, 5 and 7, which no image changes, and their edges 3→5, 5→6 and 5→7.
    assert left[NOT_LIVE] == Left(
        nodes=4, edges=4, params=27 + 3 * 9 + 4 + 2, macs=27 * 64 + 9 * (2 * 64 + 16) + 3 * 64 + 16 + 2
    )


def test_a_branch_that_ends_is_dead_as_a_whole(nine_nodes):
    """2→4→nothing: the 2019 rule looks one edge ahead and keeps node 2."""
    first, second = nine_nodes.body_stages()
    first.select(torch.tensor([0, 8]))
    second.select(torch.tensor([1]))
    left = after_removal(nine_nodes)
    # 0, 2, 5 and 6 are kept, with 0→2 and 5→6; without 4, which sends nothing, 2→4 is gone.
    assert (left[NO_OUTGOING_EDGE].nodes, left[NO_OUTGOING_EDGE].edges) == (4, 2)
    assert left[NOT_LIVE] == Left(nodes=0, edges=0, params=0, macs=0)


def test_a_carried_node_is_kept_without_an_edge():
    model = tiny_static(rule="top_k", num_classes=2, groups=(2, 3), readout=2, stem_channels=1, edges=1)
    model.body.stages[0].select(torch.empty(0, dtype=torch.int64))
    kept = kept_in_2019(lower(model), model)
    assert [kept[name].tolist() for name in ("z0", "z1", "z2")] == [
        [False] * 2,
        [False, True, True],
        [True] * 2,
    ]


@pytest.mark.parametrize("name", ["random_x225", "dnw_x225"])
def test_the_2019_rule_keeps_what_the_2019_program_kept(name, golden):
    case = golden(name)
    model = dg.from_official(case.state, graph=case.json["graph"], prune_rate=case.json["prune_rate"])
    kept = kept_in_2019(lower(model), model)
    found = [int(kept[f"z{level.index}"].sum()) for level in model.layout.levels]
    blocks = [block["block_sz"] for block in case.json["fast_kept"]]
    assert found == blocks[0][:1] + [size for block in blocks for size in block[1:]]
    left = after_removal(model)
    assert left[NOT_LIVE].macs == dg.count(model).macs < left[NO_OUTGOING_EDGE].macs < left[NOTHING].macs


def test_a_dense_network_is_refused():
    with pytest.raises(InputError, match="Linear is a dense network, of which no node can be removed"):
        after_removal(torch.nn.Linear(2, 2))
