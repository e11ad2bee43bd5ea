"""Which way computes a node operation: the first in a list, with the reason why others are passed over."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.node_operation import native, plain
from dnw_graph.node_operation.kernels import NodeKernels
from dnw_graph.triton import availability


class Way(NamedTuple):
    """unavailable: why not on tensors of this kind;  refusal: what of an operation it lacks; or None."""

    name: str
    unavailable: Callable[[torch.device, torch.dtype], str | None]
    refusal: Callable[[NodeSpec], str | None]
    kernels: Callable[[NodeSpec], NodeKernels]


def _triton(spec: NodeSpec) -> NodeKernels:
    # Triton comes with CUDA builds of torch, and takes its time to be imported.
    from dnw_graph.node_operation.triton import TritonNodeKernels

    return TritonNodeKernels()


def _unavailable_triton(device: torch.device, dtype: torch.dtype) -> str | None:
    if device.type != "cuda":
        return "Triton kernels run on CUDA devices"
    return availability.reason() or availability.refusal(device, dtype)


# The fastest first. What the last one refuses, none can do.
WAYS = (
    Way("native", native.unavailable, native.refusal, lambda spec: native.NativeNodeKernels()),
    Way("triton", _unavailable_triton, availability.node_refusal, _triton),
    Way("plain", lambda device, dtype: None, plain.refusal, plain.PlainNodeKernels),
)


def reasons(device: torch.device, dtype: torch.dtype, spec: NodeSpec) -> dict[str, str | None]:
    """Why each way is passed over, in the order in which they are tried; the first None is taken."""
    return {way.name: way.unavailable(device, dtype) or way.refusal(spec) for way in WAYS}


def node_kernels(device: torch.device, dtype: torch.dtype, spec: NodeSpec) -> NodeKernels:
    """The fastest way for tensors of this kind; ValueError for an operation that none can do."""
    why = None
    for way in WAYS:
        why = way.unavailable(device, dtype) or way.refusal(spec)
        if why is None:
            return way.kernels(spec)
    raise ValueError(f"node operation {spec}: {why}")
