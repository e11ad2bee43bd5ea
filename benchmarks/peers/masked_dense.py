"""A wired network as the 2019 program ran it: 1×1 convolutions with all candidate weights, masked.

That program selected and masked anew in every forward pass; here the masked weights are made once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.models.lower import lower
from dnw_graph.node_operation.activations import ACTIVATIONS
from dnw_graph.program import layers
from dnw_graph.program.by_torch import States, run
from dnw_graph.program.program import IMAGES, LOGITS, Program
from dnw_graph.program.steps import Messages, NodeOperation
from dnw_graph.program.unroll import unrolled


class MaskedDense(nn.Module):
    """Images [B, 3, S, S] → logits, by all steps of the network; torch's convolutions and norms only.

    States are views [C, B, H, W] of maps that lie batch by batch, as torch's convolutions want them.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.program = unrolled(lower(model))
        self.layers = layers.Layers(self.program, layers.Choice("dense"))
        self.own = nn.ModuleList()
        self.calls: dict[str, Callable[..., Tensor]] = dict(self.layers.by_name())
        for step in self.program.steps:
            if isinstance(step, (Messages, NodeOperation)):
                self.own.append(
                    _Masked(step, self.program)
                    if isinstance(step, Messages)
                    else _Operation(step, self.program)
                )
                self.calls[step.name] = self.own[-1]
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        states = States({IMAGES: images.transpose(0, 1)})
        return run(self.program.steps, states, self.calls, [LOGITS])[LOGITS].flatten(1).t()


class _Masked(nn.Module):
    """All candidate edges of a level as one 1×1 convolution; weights are 0 where none is selected."""

    weight: Tensor

    def __init__(self, step: Messages, program: Program) -> None:
        super().__init__()
        dense = np.zeros((sum(step.sizes), program.channels[step.source]), np.float32)
        dense[program.tensor(step, "row"), program.tensor(step, "column")] = program.tensor(step, "weight")
        self.register_buffer("weight", torch.from_numpy(dense)[:, :, None, None])

    def forward(self, h: Tensor, base: Tensor | None) -> Tensor:
        sent = F.conv2d(h.transpose(0, 1), self.weight).transpose(0, 1)
        return sent if base is None else base + sent


class _Operation(nn.Module):
    """Norm, activation, depthwise convolution, as torch does them."""

    kernel: Tensor

    def __init__(self, step: NodeOperation, program: Program) -> None:
        super().__init__()
        self.spec = step.spec
        self.norm = layers.Norm(step, program, layers.Choice("dense"))
        self.register_buffer("kernel", torch.from_numpy(program.tensor(step, "kernel"))[:, None])

    def forward(self, z: Tensor) -> Tensor:
        x = ACTIVATIONS[self.spec.activation].forward(self.norm(z)).transpose(0, 1)
        pad = self.spec.kernel_size // 2
        return F.conv2d(
            x, self.kernel, stride=self.spec.stride, padding=pad, groups=len(self.kernel)
        ).transpose(0, 1)
