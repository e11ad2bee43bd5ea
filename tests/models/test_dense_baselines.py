"""The dense baselines: shapes, stems for small images, and refusals."""

from __future__ import annotations

import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.models.dense_baselines import MobileNetV1, shufflenet_v2

BUILDERS = [MobileNetV1, shufflenet_v2]


@pytest.mark.parametrize("build", BUILDERS)
@pytest.mark.parametrize("image_size", [32, 64, 96])
def test_images_become_logits(build, image_size):
    model = build(0.5, 10, image_size)
    assert model(torch.zeros(2, 3, image_size, image_size)).shape == (2, 10)
    assert (model.num_classes, model.image_size) == (10, image_size)


@pytest.mark.parametrize(("image_size", "side"), [(32, 32), (64, 64), (224, 112)])
def test_mobilenet_stem_keeps_small_images(image_size, side):
    stem = MobileNetV1(0.25, 10, image_size).stem.eval()
    assert stem(torch.zeros(1, 3, image_size, image_size)).shape == (1, 8, side, side)


@pytest.mark.parametrize(("image_size", "side"), [(32, 32), (224, 56)])
def test_shufflenet_stem_keeps_small_images(image_size, side):
    model = shufflenet_v2(0.5, 10, image_size).eval()
    features = model.maxpool(model.conv1(torch.zeros(1, 3, image_size, image_size)))
    assert features.shape == (1, 24, side, side)


def test_every_parameter_of_mobilenet_learns():
    model = MobileNetV1(0.25, 10, 32)
    torch.manual_seed(0)
    model(torch.randn(4, 3, 32, 32)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("build", "multiplier", "classes", "image_size", "what"),
    [
        (shufflenet_v2, 0.75, 10, 32, "model.multiplier 0.75"),
        (MobileNetV1, 0.0, 10, 32, "model.multiplier 0.0"),
        (MobileNetV1, 0.5, 0, 32, "model.num_classes 0"),
        (shufflenet_v2, 0.5, 10, 0, "model.image_size 0"),
    ],
)
def test_what_cannot_be_built_is_named(build, multiplier, classes, image_size, what):
    with pytest.raises(InputError, match=what):
        build(multiplier, classes, image_size)
