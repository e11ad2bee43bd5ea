"""Gradients against float64 finite differences."""

from __future__ import annotations

import pytest
import torch

from dnw_graph.message_passing import EdgeIndex
from dnw_graph.models.tiny_static import tiny_static

EPSILON = 1e-6


def test_gradcheck_of_features_base_and_selected_weights(block, backend):
    """With reach "selected" the operator is an ordinary function of its inputs."""
    operands = block(targets=3, sources=3, shape=(2, 2, 3))
    index = operands.index

    def function(h, weight, base):
        return torch.ops.dnw_graph.message_passing(
            h, weight, index.pointer, index.source, index.position, base, "selected", backend
        )

    assert torch.autograd.gradcheck(function, (operands.h, operands.weight, operands.base))


def test_gradcheck_of_a_full_wiring_with_reach_candidates(block, backend):
    operands = block(targets=3, sources=2, share=1.1, base=False)
    index = operands.index

    def function(h, weight):
        return torch.ops.dnw_graph.message_passing(
            h, weight, index.pointer, index.source, index.position, None, "candidates", backend
        )

    assert torch.autograd.gradcheck(function, (operands.h, operands.weight))


def network(backend):
    """17 nodes, 75 candidates, 38 of them selected, in float64."""
    torch.manual_seed(3)
    model = tiny_static(
        rule="top_k",
        num_classes=3,
        density=0.5,
        groups=(3, 5, 5),
        readout=4,
        stem_channels=2,
        backend=backend,
    )
    return model.double().train()


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def loss(model, images):
    return torch.nn.functional.cross_entropy(model(images), torch.tensor([0, 2]))


def test_every_selected_edge_has_the_slope_of_the_loss(backend, images):
    model = network(backend)
    stage = model.body.stages[0]
    loss(model, images).backward()
    for each in stage.selected.tolist():
        values = []
        for sign in (1, -1):
            with torch.no_grad():
                stage.weight[each] += sign * EPSILON
            values.append(loss(model, images).item())
            with torch.no_grad():
                stage.weight[each] -= sign * EPSILON
        slope = (values[0] - values[1]) / (2 * EPSILON)
        assert stage.weight.grad[each].item() == pytest.approx(slope, rel=1e-5, abs=1e-8), each


def test_every_unselected_edge_has_the_slope_of_the_network_with_that_edge_added(backend, images):
    """Straight-through: as if the edge were in the wiring with weight 0, moved by ±ε."""
    model = network(backend)
    stage = model.body.stages[0]
    loss(model, images).backward()
    wiring = stage.selected.clone()
    outside = sorted(set(range(stage.stage.num_candidates)) - set(wiring.tolist()))
    assert len(outside) == 37
    steepest = 0.0
    for each in outside:
        weight, values = stage.weight[each].item(), []
        stage.select(torch.cat([wiring, torch.tensor([each])]).sort().values)
        for value in (EPSILON, -EPSILON):
            with torch.no_grad():
                stage.weight[each] = value
            values.append(loss(model, images).item())
        with torch.no_grad():
            stage.weight[each] = weight
        stage.select(wiring)
        slope = (values[0] - values[1]) / (2 * EPSILON)
        assert stage.weight.grad[each].item() == pytest.approx(slope, rel=1e-5, abs=1e-8), each
        steepest = max(steepest, abs(slope))
    assert steepest > 1e-3


def test_no_gradient_is_computed_that_nobody_asks_for(block, backend):
    operands = block()
    operands.weight.requires_grad_(False)
    z = operands.send(backend)
    (h,) = torch.autograd.grad(z.sum(), [operands.h])
    assert h.shape == operands.h.shape


def test_an_index_of_no_edge_still_teaches_all_candidates(backend):
    """h = 1, 2; g = 1: ∂L/∂w = h of the source."""
    index = EdgeIndex.of_positions(torch.empty(0, dtype=torch.int64), 2, 2)
    h = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1)
    weight = torch.zeros(4, requires_grad=True)
    z = torch.ops.dnw_graph.message_passing(
        h, weight, index.pointer, index.source, index.position, None, "candidates", backend
    )
    z.sum().backward()
    assert z.flatten().tolist() == [0.0, 0.0]
    assert weight.grad.tolist() == [1.0, 2.0, 1.0, 2.0]
