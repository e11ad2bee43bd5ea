"""The dense networks that wirings are compared with: MobileNetV1 x alpha and ShuffleNetV2 x s.

Sources: Howard et al. 2017, "MobileNets", table 1; Ma et al. 2018, "ShuffleNet V2" (torchvision's code).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError
from dnw_graph.models.batch import check_batch

SMALL_IMAGE = 64
"""Up to this many pixels a side the stem does not halve the image (the wired networks do the same)."""

# (output channels at multiplier 1, stride of the depthwise convolution)
_MOBILENET_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
_SHUFFLENET_NAMES = {0.5: "shufflenet_v2_x0_5", 1.0: "shufflenet_v2_x1_0"}


class MobileNetV1(nn.Module):
    """A 3x3 stem and 13 depthwise-separable blocks, each convolution followed by BatchNorm and ReLU.

    Every channel count is times `multiplier` (alpha); up to 64 pixels the stem does not halve the image.
    """

    def __init__(self, multiplier: float, num_classes: int, image_size: int) -> None:
        super().__init__()
        _check(num_classes, image_size)
        if not 0 < multiplier <= 4:
            raise InputError(
                f"model.multiplier {multiplier} is not usable; give a MobileNetV1 alpha in (0, 4]."
            )
        self.multiplier = float(multiplier)
        self.num_classes = num_classes
        self.image_size = image_size

        channels = _scaled(32, multiplier)
        self.stem = _convolution(3, channels, kernel=3, stride=1 if image_size <= SMALL_IMAGE else 2)
        self.blocks = nn.ModuleList()
        for width, stride in _MOBILENET_BLOCKS:
            out = _scaled(width, multiplier)
            self.blocks.append(
                nn.Sequential(
                    _convolution(channels, channels, kernel=3, stride=stride, groups=channels),
                    _convolution(channels, out, kernel=1),
                )
            )
            channels = out
        self.classifier = nn.Linear(channels, num_classes)
        self.apply(_initialise)

    def forward(self, images: Tensor) -> Tensor:
        """images [B, 3, S, S] float -> logits [B, classes]."""
        check_batch(images, self.classifier.weight)
        features = self.stem(images)
        for block in self.blocks:
            features = block(features)
        return self.classifier(features.mean(dim=(2, 3)))


def shufflenet_v2(multiplier: float, num_classes: int, image_size: int) -> nn.Module:
    """torchvision's ShuffleNetV2 x0.5 or x1, untrained; up to 64 pixels a stride-1 stem and no max-pool.

    Raises InputError for another multiplier.
    """
    _check(num_classes, image_size)
    if multiplier not in _SHUFFLENET_NAMES:
        known = " or ".join(str(m) for m in _SHUFFLENET_NAMES)
        raise InputError(f"model.multiplier {multiplier} is not a ShuffleNetV2 that we know; use {known}.")
    build: Any = getattr(load_torchvision().models, _SHUFFLENET_NAMES[multiplier])
    model = build(weights=None, num_classes=num_classes)
    if image_size <= SMALL_IMAGE:
        model.conv1[0].stride = (1, 1)
        model.maxpool = nn.Identity()
    model.multiplier = float(multiplier)
    model.num_classes = num_classes
    model.image_size = image_size
    assert isinstance(model, nn.Module)
    model.register_forward_pre_hook(_check_batch)
    return model


def _check_batch(model: nn.Module, given: tuple[Any, ...]) -> None:
    if given:
        check_batch(given[0], model.fc.weight)  # type: ignore[union-attr,arg-type]


def _check(num_classes: int, image_size: int) -> None:
    if num_classes < 1:
        raise InputError(
            f"model.num_classes {num_classes} is too small; a classifier needs at least 1 class."
        )
    if image_size < 1:
        raise InputError(f"model.image_size {image_size} is too small; give a number of pixels, such as 224.")


def _scaled(channels: int, multiplier: float) -> int:
    return max(1, round(channels * multiplier))


def _convolution(
    inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
        nn.init.zeros_(module.bias)
