"""On which GPUs, and below which density of a stage, `triton` was measured faster than `dense`."""

from __future__ import annotations

from functools import cache

import torch

# By device as torch names it, and number format: the density of a stage below which `triton` took less time
# than `dense` in whole training steps and in inference, in every table of benchmarks/results/gpu-*.md.
MEASURED: dict[str, dict[torch.dtype, float]] = {}

NOT_FASTER = "not measured faster than dense on this GPU at this density; benchmarks/gpu.py measures"


def triton_below(device: torch.device, dtype: torch.dtype) -> float:
    """The density below which `triton` was measured faster on such a device; 0 if none was measured."""
    return MEASURED.get(_name(device), {}).get(dtype, 0.0)


def explanation(device: torch.device) -> str:
    """What `auto` means on this device, and why."""
    name = _name(device)
    if name not in MEASURED:
        return f"dense: nothing was measured on {name}; benchmarks/gpu.py does, triton can be asked for"
    limits = ", ".join(
        f"{str(dtype).removeprefix('torch.')} below a density of {limit:.1%}"
        for dtype, limit in MEASURED[name].items()
        if limit
    )
    return f"triton in {limits}, else dense: as measured" if limits else "dense: measured faster than triton"


@cache
def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device)
