"""Whole networks on the device: a training step against float64, the selection, a captured graph, waiting."""

from __future__ import annotations

import copy
import math
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import dnw_graph as dg
from benchmarks.gpu.timing import DEVICE
from dnw_graph.inference.cuda_graph import capture
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.wiring.selection import strongest

# Rounding grows from level to level, and a ReLU near 0 may fall on either side.
LIMIT = 2e-3


def checked(
    about: str, dtype: torch.dtype, limit: float, found: Iterator[tuple[str, float]]
) -> Iterator[dict[str, Any]]:
    """A record for each (name, error) that is found: what, error, limit, whether it is within.

    What fails altogether is off too, and says why; the checks after it go on.
    """
    common = {"dtype": str(dtype), "limit": limit}
    try:
        for name, error in found:
            yield common | {"what": f"{name} {about}".strip(), "error": error, "within": error <= limit}
    except Exception as failure:
        print(traceback.format_exc(), file=sys.stderr)
        reason = f"{type(failure).__name__}: {' '.join(str(failure).split())[:160]}"
        yield common | {"what": about, "error": math.nan, "within": False, "reason": reason}


def network_checks(smoke: bool) -> Iterator[dict[str, Any]]:
    """Records of whole networks."""
    for name, make in _networks(smoke).items():
        yield from checked(f"of a {name}", torch.float32, LIMIT, _training_step(make))
    yield from checked("strongest", torch.float32, 0.0, _selection(smoke))
    if DEVICE.type == "cuda":
        made = _networks(smoke)["chain of levels"]
        yield from checked("network", torch.float32, LIMIT, _captured(made))


def waits(step: Callable[[], object]) -> str:
    """What torch says about a step that waits for the device; empty if it does not, as far as torch sees."""
    if DEVICE.type != "cuda":
        return ""
    step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    except RuntimeError as error:
        places = [
            frame for frame in traceback.extract_tb(error.__traceback__) if "dnw_graph" in frame.filename
        ]
        place = f" in {places[-1].name}" if places else ""
        return f"{' '.join(str(error).split())[:100]}{place}"
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return ""


def _networks(smoke: bool) -> dict[str, Callable[[], WiredNetwork]]:
    """Small ones, for float64 on the host takes long."""
    if smoke:
        blocks, groups = ((2, 3, 2, 2),), {"groups": (2, 3), "readout": 2, "stem_channels": 2, "edges": 8}
    else:
        blocks = ((16, 32, 1, 1), (32, 64, 2, 3), (64, 96, 2, 2))
        groups = {"groups": (16, 48, 48), "readout": 20, "edges": 800}
    side = 8 if smoke else 32
    return {
        "chain of levels": lambda: mobilenet_v1(
            rule="top_k", num_classes=5, image_size=side, density=0.3, blocks=blocks
        ),
        "network with a readout": lambda: tiny_static(rule="top_k", num_classes=5, **groups),
    }


def _training_step(make: Callable[[], WiredNetwork]) -> Iterator[tuple[str, float]]:
    """Logits and gradients by Triton on the device beside `dense` in float64 on the host.

    As ‖a − b‖ / ‖b‖: one pixel on the other side of a ReLU is no error of a kernel.
    """
    model = make()
    exact = copy.deepcopy(model).double()
    images = torch.randn(4, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(7))
    ours = _step(model.to(DEVICE), images.to(DEVICE), "triton")
    theirs = _step(exact, images.double(), "dense")
    assert ours.keys() == theirs.keys()
    every = [(ours[name].double().cpu(), theirs[name]) for name in ours]
    yield "training step", max(float((a - b).norm() / b.norm()) for a, b in every if float(b.norm()) > 1e-6)


def _step(model: WiredNetwork, images: Tensor, backend: str) -> dict[str, Tensor]:
    for _, stage in model.wired_stages():
        stage.backend = backend
    logits = model.train()(images)
    F.cross_entropy(logits, torch.arange(len(images), device=images.device) % 3).backward()
    gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
    return {"logits": logits.detach(), **gradients}


def _selection(smoke: bool) -> Iterator[tuple[str, float]]:
    """How many ids the device selects and the host does not, among scores of which many are equal."""
    for size, k in ((100, 7),) if smoke else ((4_718_592, 1_000_000), (32_768, 500), (1000, 999)):
        score = torch.randn(size, generator=torch.Generator().manual_seed(k)).mul(1000).round() / 1000
        found = strongest(score.to(DEVICE), k).cpu()
        yield f"{k} of {size}", float((found != strongest(score, k)).sum())


def _captured(make: Callable[[], WiredNetwork]) -> Iterator[tuple[str, float]]:
    """A graph that is replayed for other images than it was captured with."""
    model = make().to(DEVICE).eval()
    net = dg.compile(model, backend="triton")
    first, second = (torch.randn(4, 3, model.image_size, model.image_size, device=DEVICE) for _ in range(2))
    captured = capture(net, first)
    found, expected = captured(second), model(second).detach()
    yield "captured", float((found - expected).norm() / expected.norm())
