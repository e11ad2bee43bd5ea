"""The node operation z → h as a module: norm, activation, single-channel convolution, on [C, B, H, W]."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.node_operation.activations import ACTIVATIONS
from dnw_graph.node_operation.plain import depthwise
from dnw_graph.program.layers import NORMS


class PlainNorm(nn.Module):
    """A norm of `dnw_graph.program.layers.NORMS`: scale and shift per channel, no running statistics."""

    def __init__(self, channels: int, eps: float, kind: str) -> None:
        super().__init__()
        self.eps, self.kind = eps, kind
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, z: Tensor) -> Tensor:
        scale, shift = (values.reshape(-1, 1, 1, 1) for values in (self.weight, self.bias))
        return NORMS[self.kind](z, scale, shift, self.eps)


class InstanceNorm(PlainNorm):
    """Every map of every image to mean 0 and (biased) variance 1, then scale and shift per channel."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__(channels, eps, "instance")


class BatchNorm(nn.BatchNorm2d):
    """torch's batch norm, on node-major features [C, B, H, W]."""

    def forward(self, z: Tensor) -> Tensor:
        channels, images, height, width = z.shape
        return super().forward(z.reshape(1, channels, images * height, width)).reshape(z.shape)


class NodeOperation(nn.Module):
    """h = convolution(activation(norm(z))), each node by itself, as its `spec` says.

    [C, B, H, W] → [C, B, ceil(H/stride), ceil(W/stride)], contiguous.
    """

    # With norm "none" a layer that does nothing.
    norm: BatchNorm | PlainNorm

    def __init__(self, nodes: int, spec: NodeSpec) -> None:
        super().__init__()
        self.spec = spec
        self.norm = norm_layer(nodes, spec)  # type: ignore[assignment]
        self.kernel = nn.Parameter(torch.empty(nodes, 1, spec.kernel_size, spec.kernel_size))
        nn.init.kaiming_normal_(self.kernel, mode="fan_out", nonlinearity="relu")

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """As torch's, but refuses what `SyncBatchNorm.convert_sync_batchnorm` puts in the norm's place."""
        if isinstance(module, nn.SyncBatchNorm):
            raise InputError(
                "torch.nn.SyncBatchNorm reads [images, channels, …], and a wired body holds its maps as "
                "[channels, images, …]; call model.synchronise_norm() instead (in a run: "
                "training.sync_norm true)"
            )
        super().add_module(name, module)

    def forward(self, z: Tensor) -> Tensor:
        return depthwise(
            ACTIVATIONS[self.spec.activation].forward(self.norm(z)), self.kernel, self.spec.stride
        )

    def extra_repr(self) -> str:
        return str(self.spec)


def norm_layer(nodes: int, spec: NodeSpec) -> nn.Module:
    """The norm of a node operation, or of the states after messages."""
    if spec.norm == "batch":
        return BatchNorm(nodes, eps=spec.eps)
    if spec.norm == "instance":
        return InstanceNorm(nodes, spec.eps)
    return nn.Identity() if spec.norm == "none" else PlainNorm(nodes, spec.eps, spec.norm)
