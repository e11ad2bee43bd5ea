"""Counting dense networks."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from dnw_graph.accounting.dense import count_dense
from dnw_graph.models.dense_baselines import MobileNetV1, shufflenet_v2

BASELINES = [(MobileNetV1, 0.25), (MobileNetV1, 0.5), (shufflenet_v2, 0.5), (shufflenet_v2, 1.0)]


class Hand(nn.Module):
    """3 -> 4 channels on 8x8 with stride 2, depthwise, then 5 classes."""

    num_classes, image_size = 5, 8

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.depthwise = nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.classifier = nn.Linear(4, 5)

    def forward(self, images):
        return self.classifier(self.norm(self.depthwise(self.stem(images))).mean((2, 3)))


def test_by_hand():
    report = count_dense(Hand())
    assert (report.stem.params, report.stem.macs) == (27 * 4, 27 * 4 * 16)
    assert [(s.name, s.params, s.macs) for s in report.stages] == [("depthwise", 36, 36 * 16)]
    assert (report.head.params, report.head.macs) == (20, 20)
    assert report.norm_and_bias_params == 4 + 8 + 5
    assert report.published_macs is None


@pytest.mark.parametrize(
    ("build", "multiplier", "params", "macs"),
    [
        (*BASELINES[0], "0.5", "41.0"),
        (*BASELINES[1], "1.3", "149.5"),
        (*BASELINES[2], "1.4", "40.5"),
        (*BASELINES[3], "2.3", "144.9"),
    ],
)
def test_published_baselines(build, multiplier, params, macs):
    report = count_dense(build(multiplier, 1000, 224))
    assert (f"{report.params / 1e6:.1f}", f"{report.macs / 1e6:.1f}") == (params, macs)


@pytest.mark.parametrize(("build", "multiplier"), BASELINES)
@pytest.mark.parametrize("image_size", [32, 97])
def test_agrees_with_the_flop_counter_of_torch(build, multiplier, image_size):
    model = build(multiplier, 10, image_size).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, image_size, image_size))
    assert count_dense(model).flops == counter.get_total_flops()


@pytest.mark.parametrize(("build", "multiplier"), BASELINES)
def test_every_parameter_is_in_one_column(build, multiplier):
    model = build(multiplier, 10, 32)
    report = count_dense(model)
    assert report.params + report.norm_and_bias_params == sum(p.numel() for p in model.parameters())


def test_counting_leaves_the_model_alone():
    model = MobileNetV1(0.25, 10, 32).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    count_dense(model)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
