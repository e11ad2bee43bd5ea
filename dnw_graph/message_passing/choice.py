"""Which backend `auto` means: the first in a list, with the reason why each one before it is passed over."""

from __future__ import annotations

import torch

from dnw_graph.message_passing import auto_on_cuda
from dnw_graph.message_passing.backend import _BACKENDS

# Density from which on a dense product was measured faster than the sparse one
# (benchmarks/message_passing.py): our own kernels, and torch's CSR.
_DENSE_FROM = {"native": 1 / 4, "csr": 1 / 8}


def choose_backend(device: torch.device, dtype: torch.dtype, num_edges: int, candidates: int) -> str:
    """What `auto` means for a stage with so many of its candidate edges selected."""
    for name in _order(device):
        if _why_not(name, device, dtype, num_edges, candidates) is None:
            return name
    return "dense"


def reasons(
    device: torch.device, dtype: torch.dtype, num_edges: int, candidates: int
) -> dict[str, str | None]:
    """Why `auto` passes each backend over, in the order in which it tries them; it takes the first None."""
    return {name: _why_not(name, device, dtype, num_edges, candidates) for name in _order(device)}


def _order(device: torch.device) -> tuple[str, ...]:
    # A masked dense product runs on tensor cores, and may win although it multiplies forty times as much.
    return ("triton", "dense") if device.type == "cuda" else ("native", "csr", "dense")


def _why_not(
    name: str, device: torch.device, dtype: torch.dtype, num_edges: int, candidates: int
) -> str | None:
    backend = _BACKENDS[name]
    found = backend.reason() or backend.refusal(device, dtype)
    if found is not None or name == "dense":
        return found
    if device.type == "cuda":
        sparse = num_edges < auto_on_cuda.triton_below(device, dtype) * max(1, candidates)
        return None if sparse else auto_on_cuda.NOT_FASTER
    limit = _DENSE_FROM[name]
    return (
        None
        if num_edges < limit * candidates
        else f"dense was measured faster from a density of {limit:.1%} on"
    )
