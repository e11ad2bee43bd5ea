"""Heads of compiled networks: live channels only; what constant channels add is one vector of logits."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.inference.constants import restricted
from dnw_graph.inference.layers import Affine, Linear, Messages, folded
from dnw_graph.models.heads import LinearHead, TinyHead, WiredClassifier


class CompiledHead(nn.Module):
    """live states [C, B, h, w] and the constant logits [classes] → logits [B, classes]."""

    @abstractmethod
    def constant_logits(self, maps: Tensor) -> Tensor:
        """What the constant channels' maps [K, h, w] add to every image's logits, [classes]."""


def compile_head(head: nn.Module, live: Tensor, constant: Tensor, backend: str) -> CompiledHead:
    """The head over the channels `live`, with `constant` ones to be folded; each ascending int64."""
    if isinstance(head, LinearHead):
        return _Pooled(head.norm, head.linear, live, constant)
    if isinstance(head, WiredClassifier):
        return _Wired(head, live, constant, backend)
    assert isinstance(head, TinyHead)
    return _Tiny(head.linear, live, constant)


class _Pooled(CompiledHead):
    constant_weight: Tensor

    def __init__(self, norm: nn.BatchNorm2d, linear: nn.Linear, live: Tensor, constant: Tensor) -> None:
        super().__init__()
        scale, shift = folded(norm)
        weight = linear.weight.detach()
        self.norm, self.constant_norm = (Affine(scale[part], shift[part]) for part in (live, constant))
        self.linear = Linear(weight[:, live], linear.bias.detach())
        self.register_buffer("constant_weight", weight[:, constant].clone())

    def forward(self, z: Tensor, constant: Tensor) -> Tensor:
        return self.linear(F.relu(self.norm(z)).mean(dim=(2, 3)).t()) + constant

    def constant_logits(self, maps: Tensor) -> Tensor:
        pooled = F.relu(self.constant_norm(maps.unsqueeze(1))).mean(dim=(1, 2, 3))
        return self.constant_weight @ pooled


class _Tiny(CompiledHead):
    constant_weight: Tensor

    def __init__(self, linear: nn.Linear, live: Tensor, constant: Tensor) -> None:
        super().__init__()
        weight = linear.weight.detach()
        self.linear = Linear(weight[:, live], linear.bias.detach())
        self.register_buffer("constant_weight", weight[:, constant].clone())

    def forward(self, z: Tensor, constant: Tensor) -> Tensor:
        return self.linear(z[:, :, 2:4, 2:4].mean(dim=(2, 3)).t()) + constant

    def constant_logits(self, maps: Tensor) -> Tensor:
        return self.constant_weight @ maps[:, 2:4, 2:4].mean(dim=(1, 2))


class _Wired(CompiledHead):
    def __init__(self, head: WiredClassifier, live: Tensor, constant: Tensor, backend: str) -> None:
        super().__init__()
        scale, shift = folded(head.norm)
        self.norm, self.constant_norm = (Affine(scale[part], shift[part]) for part in (live, constant))
        classes = torch.arange(head.num_classes)
        self.messages = Messages(*restricted(head.wiring, 0, live, classes), backend)
        self.constant_messages = Messages(*restricted(head.wiring, 0, constant, classes), "dense")

    def forward(self, z: Tensor, constant: Tensor) -> Tensor:
        pooled = F.relu(self.norm(z)).mean(dim=(2, 3), keepdim=True)
        base = constant.reshape(-1, 1, 1, 1).expand(-1, z.shape[1], 1, 1)
        return self.messages(pooled.contiguous(), base).flatten(1).t()

    def constant_logits(self, maps: Tensor) -> Tensor:
        pooled = F.relu(self.constant_norm(maps.unsqueeze(1))).mean(dim=(2, 3), keepdim=True)
        return self.constant_messages(pooled.contiguous(), None).flatten()
