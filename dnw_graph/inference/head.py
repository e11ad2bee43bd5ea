"""Heads of compiled networks: live channels only; bias and constant channels are one vector of logits."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.inference.constants import restricted
from dnw_graph.inference.layers import Affine, Choice, Linear, Messages, folded
from dnw_graph.models.heads import LinearHead, TinyHead, WiredClassifier, readout_window


class CompiledHead(nn.Module):
    """live states [C, B, h, w] and the logits without them [classes] → logits [B, classes]."""

    @abstractmethod
    def constant_logits(self, maps: Tensor) -> Tensor:
        """Every image's logits before the live channels add to them, [classes].

        maps  of the constant channels, [K, h, w]
        """


def compile_head(head: nn.Module, live: Tensor, constant: Tensor, choice: Choice) -> CompiledHead:
    """The head over the channels `live`, with `constant` ones to be folded; each ascending int64."""
    if isinstance(head, LinearHead):
        return PooledHead(head.norm, head.linear, live, constant)
    if isinstance(head, WiredClassifier):
        return WiredHead(head, live, constant, choice)
    assert isinstance(head, TinyHead)
    return WindowHead(head.linear, live, constant)


class ClassifyingHead(CompiledHead):
    """What heads with a dense classifier share."""

    bias: Tensor
    constant_weight: Tensor

    def __init__(self, linear: nn.Linear, live: Tensor, constant: Tensor) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.linear = Linear(weight[:, live])
        self.register_buffer("bias", linear.bias.detach().clone())
        self.register_buffer("constant_weight", weight[:, constant].clone())


class PooledHead(ClassifyingHead):
    def __init__(self, norm: nn.BatchNorm2d, linear: nn.Linear, live: Tensor, constant: Tensor) -> None:
        super().__init__(linear, live, constant)
        scale, shift = folded(norm)
        self.norm, self.constant_norm = (Affine(scale[part], shift[part]) for part in (live, constant))

    def forward(self, z: Tensor, constant: Tensor) -> Tensor:
        return self.linear(F.relu(self.norm(z)).mean(dim=(2, 3)).t(), constant)

    def constant_logits(self, maps: Tensor) -> Tensor:
        pooled = F.relu(self.constant_norm(maps.unsqueeze(1))).mean(dim=(1, 2, 3))
        return self.bias + self.constant_weight @ pooled


class WindowHead(ClassifyingHead):
    def forward(self, z: Tensor, constant: Tensor) -> Tensor:
        return self.linear(readout_window(z).mean(dim=(2, 3)).t(), constant)

    def constant_logits(self, maps: Tensor) -> Tensor:
        return self.bias + self.constant_weight @ readout_window(maps.unsqueeze(1)).mean(dim=(1, 2, 3))


class WiredHead(CompiledHead):
    def __init__(self, head: WiredClassifier, live: Tensor, constant: Tensor, choice: Choice) -> None:
        super().__init__()
        scale, shift = folded(head.norm)
        self.norm, self.constant_norm = (Affine(scale[part], shift[part]) for part in (live, constant))
        classes = torch.arange(head.num_classes)
        self.messages = Messages(*restricted(head.wiring, 0, live, classes), choice)
        self.constant_messages = Messages(*restricted(head.wiring, 0, constant, classes), Choice("dense"))

    def forward(self, z: Tensor, constant: Tensor) -> Tensor:
        pooled = F.relu(self.norm(z)).mean(dim=(2, 3), keepdim=True)
        base = constant.reshape(-1, 1, 1, 1).expand(-1, z.shape[1], 1, 1)
        return self.messages(pooled.contiguous(), base).flatten(1).t()

    def constant_logits(self, maps: Tensor) -> Tensor:
        pooled = F.relu(self.constant_norm(maps.unsqueeze(1))).mean(dim=(2, 3), keepdim=True)
        return self.constant_messages(pooled.contiguous(), None).flatten()
