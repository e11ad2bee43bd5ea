"""Rewiring where the host does not wait: the same wirings, and what is wrong is told later."""

from __future__ import annotations

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.models import selected_ids, stage
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.wiring import Rule, StageView, selection, strongest
from dnw_graph.wiring.selection_on_device import strongest_on_device


@pytest.fixture
def far(monkeypatch):
    """Treat tensors on the CPU as if they were on a GPU."""
    for module in (stage, selected_ids):
        monkeypatch.setattr(module, "reads_at_once", lambda device: False)


class OnDevice(Rule):
    """Top-k in shapes that are known before."""

    def choose(self, view: StageView) -> torch.Tensor:
        return strongest_on_device(view.weight, view.k)


def small_network(rule: str = "top_k"):
    table = ((2, 4, 1, 2), (4, 6, 2, 3))
    torch.manual_seed(0)
    return mobilenet_v1(rule=rule, num_classes=3, image_size=16, density=0.4, blocks=table)


def drift(network, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, wired in network.wired_stages():
            wired.weight += 0.1 * torch.randn(wired.weight.shape, generator=generator)


def test_wirings_swaps_and_indices_are_those_of_the_other_way(far):
    here, there = small_network(), small_network()
    with pytest.MonkeyPatch.context() as near:
        for module in (stage, selected_ids):
            near.setattr(module, "reads_at_once", lambda device: True)
        here.rewire()
    assert int(there.rewire()) == 0
    for seed in range(4):
        drift(here, seed)
        drift(there, seed)
        with pytest.MonkeyPatch.context() as near:
            for module in (stage, selected_ids):
                near.setattr(module, "reads_at_once", lambda device: True)
            expected = here.rewire(seed)
        swaps = there.rewire(seed)
        assert isinstance(swaps, torch.Tensor)
        assert isinstance(expected, int)
        assert int(swaps) == expected
        for (name, a), (_, b) in zip(here.wired_stages(), there.wired_stages(), strict=True):
            assert torch.equal(a.selected, b.selected), name
            for left, right in zip(a.indices(), b.indices(), strict=True):
                assert torch.equal(left.pointer, right.pointer)
                assert torch.equal(left.source, right.source)
                assert torch.equal(left.position, right.position)
    images = torch.randn(2, 3, 16, 16)
    assert torch.equal(here(images), there(images))


def test_the_static_selection_wires_as_the_other_one(far, tiny_stage):
    built = tiny_stage(weights=[2.0, -2.0, 1.0, 2.0, 0.0], k=2, rule=OnDevice())
    assert built.selected.tolist() == strongest(built.weight, 2).tolist() == [0, 1]


def test_nan_is_told_when_it_is_asked_for(far, tiny_stage):
    built = tiny_stage(weights=[1.0, 2.0], k=1)
    with torch.no_grad():
        built.weight[1] = float("nan")
    built.rewire()
    with pytest.raises(FloatingPointError, match=r"parameter stage_0\.weight holds NaN"):
        built.check_finite()
    built.check_finite()


@pytest.mark.parametrize("returned", [[1, 1], [1, 4], [-1, 2]])
def test_ids_that_are_no_wiring_are_told_when_it_is_asked_for(far, tiny_stage, returned):
    class Wrong(Rule):
        def select(self, weight, k):
            return torch.tensor(returned)

    built = tiny_stage(weights=[1.0, 2.0, 3.0, 4.0], k=2, rule=Wrong())
    assert 0 <= int(built.selected.min()) <= int(built.selected.max()) < 4
    with pytest.raises(InputError) as caught:
        built.check_finite()
    assert str(caught.value) == (
        "rule Wrong selected an edge of stage_0 twice, or an id that is not from 0 to 3; "
        "return ids of candidate edges, each once"
    )
    built.check_finite()


def test_ids_in_any_order_are_put_in_order(far, tiny_stage):
    class Backwards(Rule):
        def select(self, weight, k):
            return torch.tensor([3, 0])

    built = tiny_stage(weights=[1.0] * 4, k=3, rule=Backwards())
    assert built.selected.tolist() == [0, 3]
    built.check_finite()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, whose host could wait")
def test_no_rewiring_waits_for_the_device():
    network, twin = small_network().cuda(), small_network()
    network.rewire()
    for _, wired in network.wired_stages():
        wired.stage_index()  # constants of the stage go to the device once
    torch.cuda.synchronize()
    swaps: int | torch.Tensor = 0
    moved = []
    for seed in range(3):
        drift(twin, seed)
        moved.append([wired.weight.detach().cuda() for _, wired in twin.wired_stages()])
    torch.cuda.set_sync_debug_mode("error")
    try:
        for seed, weights in enumerate(moved):
            for (_, wired), weight in zip(network.wired_stages(), weights, strict=True):
                wired.weight.data.copy_(weight)
            swaps += network.rewire(seed)
            for _, wired in network.wired_stages():
                wired.stage_index().by_column()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    network.check_finite()
    twin.rewire(2)
    for name, ids in twin.wirings().items():
        assert ids.tolist() == network.wirings()[name].tolist()
    assert int(swaps) > 0


def test_a_cpu_never_takes_the_other_way(monkeypatch):
    monkeypatch.setattr(selection, "strongest_on_device", lambda *_: 1 / 0)
    assert small_network().rewire() == 0
