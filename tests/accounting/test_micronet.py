"""The MicroNet score, of networks that are small enough, or plain enough, to be counted by hand."""

from __future__ import annotations

import pytest
import torch

import dnw_graph as dg
from dnw_graph.accounting.micronet import TASKS, Entry, MicroNet, Tally, micronet, task_of
from dnw_graph.errors import InputError
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_dynamic import tiny_discrete_time


def whole(**options):
    """Every candidate edge of stem 3 (8×8) | 2 (8×8), 2 (8×8), a dense classifier of 5 classes."""
    blocks = ((3, 2, 1, 2),)
    return mobilenet_v1(rule="top_k", num_classes=5, image_size=8, density=1.0, blocks=blocks, **options)


def test_a_whole_network_by_hand():
    """Level 0 sends to 4 nodes, level 1 to 2: 16 edges. All states are 8×8, all norms become biases."""
    parts, pixels = micronet(whole()).parts, 64
    # 27 products a channel; what level 0 sees as a norm is the bias of the stem's convolution.
    assert parts["stem"] == Tally(81, 81 * pixels, (81 - 3 + 3) * pixels)
    # Kernels and norms of 3 + 2 nodes; 3 · 4 + 2 · 2 edges, of which 3 end at each node of level 1 and 5 at
    # each of level 2. A ReLU and 9 products a pixel for each of the 5; two norms' shifts are biases.
    products, sums = 5 * (1 + 9) + 16, 5 * 8 + 2 * (3 - 1) + 2 * (5 - 1) + 2 + 2
    assert parts["stage_0"] == Tally(5 * 9 + 5 + 16, products * pixels, sums * pixels)
    # The last norm's shift is counted here, its addition where the sum is; ReLU, mean, 2 · 5 products.
    assert parts["head"] == Tally(2 + 10 + 5, 2 * pixels + 2 + 10, 2 * (pixels - 1) + 5 * (2 - 1) + 5)


def test_bits_of_both_readings():
    """Usable candidates 3 · 4 + 2 · 2; the rectangle of 2019 has 3 + 2 sources and 4 targets."""
    assert micronet(whole()).bits == {"candidates": 16, "rectangles of 2019": 20}


@pytest.mark.parametrize(
    "config", ["imagenet/random_x0.225", "imagenet/dnw_small_x0.15", "digits/tiny_static_dnw"]
)
def test_products_are_the_exact_macs(config):
    """Multiplications are the exact MACs, and those of ReLUs, means and norms."""
    model = dg.build_model(dg.load_config(config)).eval()
    report, found = dg.count(model), micronet(model)
    assert found.total.multiplications >= report.macs
    assert found.total.values >= report.params
    # Values besides weights: at most a scale and a shift per normed channel and the biases.
    assert found.total.values <= report.params + report.norm_and_bias_params + constants(model)


def constants(model) -> int:
    """Numbers of constant nodes, which the exact count leaves out."""
    return 20 * int((model.node_status() == 1).sum()) + int(
        sum(w.selected.numel() for w in model.body_stages())
    )


def test_evaluations_share_their_values_and_repeat_their_work():
    once, twice = (tiny(times) for times in (6, 9))
    assert once.total.values == twice.total.values
    assert twice.parts["stage_0"].multiplications > 1.4 * once.parts["stage_0"].multiplications


def tiny(times: int) -> MicroNet:
    torch.manual_seed(0)
    model = tiny_discrete_time(rule="top_k", num_classes=10, edges=32000, times=times)
    return micronet(model.eval())


def test_the_allowance_halves_values_and_products():
    counted = MicroNet({"all": Tally(1_000_000, 40_000_000, 30_000_000, 7)}, {"candidates": 32_000_000})
    full, half = counted.scores(TASKS["imagenet"])
    assert (full.storage, full.operations) == (2_000_000, 70_000_007)
    assert (half.storage, half.operations) == (1_500_000, 50_000_007)
    assert full.score == pytest.approx(2 / 6.9 + 70.000007 / 1170)


@pytest.mark.parametrize(("top1", "met"), [(0.75, True), (0.74998, False), (None, None)])
def test_the_threshold_is_hard(top1, met):
    assert Entry(MicroNet({}), TASKS["imagenet"], top1).eligible is met


def test_what_has_no_score_is_refused():
    dense = dg.build_model(dg.load_config("imagenet/mobilenet_v1_x0.25"))
    with pytest.raises(InputError, match="dense"):
        micronet(dense)
    solved = dg.build_model(dg.load_config("digits/tiny_continuous_time_random"))
    with pytest.raises(InputError, match="continuous time"):
        micronet(solved)
    with pytest.raises(InputError, match="imagenet, cifar100"):
        task_of("digits")
