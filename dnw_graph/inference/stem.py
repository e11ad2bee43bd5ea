"""Stems of compiled networks: live channels only, norms folded into the convolutions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.inference.layers import Convolution
from dnw_graph.models.stems import ConvStem, TinyStem


def compile_stem(stem: nn.Module, keep: Tensor) -> nn.Module:
    """The stem that gives only the channels `keep` [C] int64."""
    if isinstance(stem, ConvStem):
        return Convolution(stem.conv, keep=keep)
    assert isinstance(stem, TinyStem)
    return CompiledTinyStem(stem, keep)


class CompiledTinyStem(nn.Module):
    """The tiny network's stem without the outputs that are not kept; nothing at all if none is."""

    def __init__(self, stem: TinyStem, keep: Tensor) -> None:
        super().__init__()
        self.conv = Convolution(stem.conv, stem.conv_norm)
        self.depthwise = Convolution(stem.depthwise)
        self.pointwise = Convolution(stem.pointwise, stem.norm, keep)

    @property
    def image_channels(self) -> int:
        """Channels of the images that it reads."""
        return self.conv.image_channels

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Height and width of its maps, for images of that size."""
        return TinyStem.side(height), TinyStem.side(width)

    def forward(self, images: Tensor) -> Tensor:
        if not self.pointwise.weight.shape[0]:
            return images.new_zeros(images.shape[0], 0, *map(TinyStem.side, images.shape[2:]))
        return self.pointwise(self.depthwise(F.relu(self.conv(images))))
