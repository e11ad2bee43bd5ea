"""Whether Triton kernels can run here; imports triton only to see whether it is there."""

from __future__ import annotations

import importlib.util
import os
from contextlib import AbstractContextManager, nullcontext

import torch

from dnw_graph.graph.node_spec import NodeSpec

ACTIVATIONS = ("relu",)


def interpreting() -> bool:
    """Whether kernels run one program after another on the CPU, for tests.

    Triton reads TRITON_INTERPRET when it is imported, and torch imports it too: set it before Python starts.
    """
    return os.environ.get("TRITON_INTERPRET", "0") not in ("", "0")


def reason() -> str | None:
    """Why Triton kernels cannot run here, with the fix; None if they can."""
    if importlib.util.find_spec("triton") is None:
        return "triton is not installed; run `pip install triton`, in the version that your torch names"
    if not torch.cuda.is_available() and not interpreting():
        return (
            "torch finds no CUDA device; use backend native, csr or dense on a CPU (TRITON_INTERPRET=1 lets "
            "tests interpret the kernels there, slowly)"
        )
    return None


def on_device(device: torch.device) -> AbstractContextManager[object]:
    """Around a launch: Triton takes the current device, which need not be that of the tensors."""
    return torch.cuda.device(device) if device.type == "cuda" else nullcontext()


def refusal(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why they cannot work on tensors of this kind; None if they can."""
    if device.type == "cpu" and not interpreting():
        return "Triton kernels run on CUDA devices; use backend native, csr or dense"
    if device.type not in ("cpu", "cuda"):
        return "Triton kernels run on CUDA devices; use backend dense"
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        return "Triton kernels know float32, bfloat16 and float16; use backend csr or dense"
    return None


def node_refusal(spec: NodeSpec) -> str | None:
    """What of this node operation they lack; None if nothing."""
    if spec.activation not in ACTIVATIONS:
        return f"Triton kernels know activation {', '.join(ACTIVATIONS)}, not {spec.activation}"
    if spec.kernel_size != 3 or spec.stride not in (1, 2):
        size = f"{spec.kernel_size}×{spec.kernel_size}"
        return f"Triton kernels know 3×3 convolutions of stride 1 and 2, not {size} of stride {spec.stride}"
    return None
