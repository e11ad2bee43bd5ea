"""What the GPU can do at most: dense products in every number format, bytes copied, launches."""

from __future__ import annotations

import torch

from benchmarks.gpu.timing import DEVICE, FORMATS, median_seconds, numbers


def gpu_ceilings(smoke: bool, rounds: int) -> dict[str, float]:
    """TFLOP/s of square products per format, GB/s of a copy (bytes read and written), μs of one launch."""
    side, length = (64, 2**12) if smoke else (8192, 2**28)
    # Random: products of equal numbers draw less power, and run faster than any real ones.
    source, target = torch.randn(length, device=DEVICE), torch.empty(length, device=DEVICE)
    one = torch.ones(1, device=DEVICE)
    found: dict[str, float] = {}
    for form in FORMATS:
        a, b = (torch.randn(side, side, device=DEVICE) for _ in range(2))
        if form == "bf16":
            a, b = a.bfloat16(), b.bfloat16()
        with numbers("float32" if form == "bf16" else form):
            product = {form: lambda a=a, b=b: torch.mm(a, b)}  # type: ignore[misc]
            times, _ = median_seconds(product, rounds, kernels=True)
        found[f"{form} TFLOP/s"] = 2 * side**3 / times[form] / 1e12
    copied, _ = median_seconds({"copy": lambda: target.copy_(source)}, rounds, kernels=True)
    found["copy GB/s"] = 8 * length / copied["copy"] / 1e9
    launched, _ = median_seconds({"launch": one.neg}, rounds)
    found["launch μs"] = launched["launch"] * 1e6
    return found
