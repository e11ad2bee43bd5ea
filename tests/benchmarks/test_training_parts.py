"""Work and time of a training step, by hand-counted numbers and made-up events."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from benchmarks.training.contenders import Stopwatch, untie
from benchmarks.training.parts import REST, _attributed, _marked
from benchmarks.training.work import (
    CANDIDATES,
    HEAD,
    MESSAGES,
    MESSAGES_BACK,
    NODES,
    NODES_BACK,
    OPTIMISER,
    SELECTION,
    STATES,
    STATES_BACK,
    STEM,
    work,
)


def test_work_of_nine_nodes(nine_nodes):
    """Blocks 2 → 4 and 2 → 2 at 8×8, four edges; a block 2 → 3 at 4×4, three edges; two images."""
    done = work(nine_nodes, images=2)
    first, second = (stage for _, stage in nine_nodes.wired_stages())
    sizes = [(block.num_sources, block.num_targets) for block in first.stage.blocks + second.stage.blocks]
    assert sizes == [(2, 4), (2, 2), (2, 3)]
    large, small = 2 * 64, 2 * 16
    assert done[CANDIDATES][0] == 2 * (8 * large + 4 * large + 6 * small)
    assert done[MESSAGES][0] == done[MESSAGES_BACK][0] == 2 * (4 * large + 3 * small)
    # Sources read and targets written; those of the second block are also read.
    assert done[MESSAGES_BACK][1] == 4 * (6 * large + 4 * large + 5 * small) + 12 * 7
    assert done[MESSAGES][1] == done[MESSAGES_BACK][1] + 4 * 2 * large
    # Levels 0 and 1 send at 8×8, level 2 halves its maps.
    assert done[NODES] == (18 * (4 * large + 2 * small), 4 * (8 * large + 2 * large + 2 * small))
    assert done[NODES_BACK][0] == 36 * (4 * large + 2 * small)
    # Image by image: states of all nodes, those of last levels too; back also what they sent, and gradients.
    for whole, parts in ((STATES, (NODES, MESSAGES)), (STATES_BACK, (NODES_BACK, MESSAGES_BACK))):
        assert done[whole][0] == sum(done[part][0] for part in parts)
    assert done[STATES][1] == 4 * (6 * large + 2 * large + 3 * small) + 12 * 7
    sent, last = 4 * large + 2 * small, 2 * large + 3 * small
    assert done[STATES_BACK][1] == 4 * (2 * 6 * large + sent + last) + 12 * 7
    assert done[SELECTION][1] == 4 * (12 + 6)
    parameters = sum(parameter.numel() for parameter in nine_nodes.parameters())
    assert done[OPTIMISER][1] == 20 * parameters
    # Forward and the gradient to its weights: 3·9 products for each of 2 channels, two images of 8×8.
    assert done[STEM][0] == 2 * 2 * 27 * 2 * large
    # Forward and both gradients of the linear layer, 3 → 2.
    assert done[HEAD][0] == 3 * 2 * 3 * 2 * 2


def event(name, start, end, own, above=None, sequence=-1):
    return SimpleNamespace(
        name=name,
        time_range=SimpleNamespace(start=start, end=end),
        self_cpu_time_total=own * 1e6,
        cpu_parent=above,
        sequence_nr=sequence,
    )


def test_time_goes_to_the_innermost_scope_and_backward_to_where_its_forward_was():
    step = event("part: everything else", 0, 100, 4)
    stem = event(f"part: {STEM}", 1, 10, 1, step)
    node = event(f"part: {NODES}", 11, 20, 2, step)
    back = "autograd::engine::evaluate_function: ConvolutionBackward0"
    stage = event("autograd::engine::evaluate_function: Stage", 81, 90, 12, step, sequence=10)
    events = [
        event("aten::to", -5, -1, 99),
        step,
        stem,
        event("aten::conv2d", 2, 9, 3, stem, sequence=7),
        node,
        event("aten::conv2d", 12, 19, 5, node, sequence=8),
        event("dnw_graph::message_passing", 21, 30, 6, step, sequence=9),
        event("dnw_graph::edge_gradient", 31, 40, 7, step),
        event(back, 41, 50, 8, step, sequence=8),
        event(back, 51, 60, 9, step, sequence=7),
        stage,
        event(f"part: {NODES}", 82, 85, 16, stage),
        event("Optimizer.step#SGD.step", 61, 70, 10, step),
        event("autograd::engine::evaluate_function: X", 71, 80, 11, step, sequence=99),
    ]
    assert dict(_attributed(events)) == {
        REST: 27,
        STEM: 13,
        NODES: 7,
        MESSAGES: 6,
        CANDIDATES: 7,
        NODES_BACK: 24,
        OPTIMISER: 10,
    }


def test_functions_are_marked_for_as_long_as_it_takes_and_absent_ones_passed_over():
    before = nn.Identity.forward
    with _marked("torch.nn:Identity.forward", STEM), _marked("torch.nn:Identity.no_such", STEM):
        assert nn.Identity.forward is not before
        assert nn.Identity()(3) == 3
    assert nn.Identity.forward is before


def test_a_step_is_its_parts():
    network = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    watch = Stopwatch(network, optimizer)
    watch.start()
    network(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    parts = watch.stop()
    assert list(parts) == ["forward", "backward", "optimiser", "selection"]
    assert all(seconds >= 0 for seconds in parts.values())


def test_weights_tied_with_the_weakest_selected_edge_become_smaller(nine_nodes):
    wired = nine_nodes.body_stages()[0]
    with torch.no_grad():
        wired.weight[[4, 5, 6]] = torch.tensor([0.5, -0.5, 0.25])
    untie(nine_nodes)
    assert wired.weight[[0, 4, 6]].tolist() == [2.0, 0.5, 0.25]
    assert wired.weight[5].item() == pytest.approx(-0.4995)
