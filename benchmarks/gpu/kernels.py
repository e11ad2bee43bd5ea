"""Kernels one by one: messages of each stage by every backend, node operations by ours and by torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

from benchmarks.gpu.timing import DEVICE, Call, Clock, median_seconds, numbers, release
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.message_passing import EdgeIndex, find_backend, usable_backend
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.node_operation import NodeOperation
from dnw_graph.node_operation.triton import TritonNodeKernels
from dnw_graph.triton.messages import weighted_rows
from dnw_graph.triton.tiles import Tile, aggregation_tile

PRODUCTS = ("aggregate", "transposed", "edge gradient")
_FORMS = {"float32": torch.float32, "TF32": torch.float32, "bf16": torch.bfloat16}


def backends_here(dtype: torch.dtype) -> list[str]:
    """Backends that pass messages of this dtype on the device."""
    return [name for name in ("triton", "csr", "dense", "dgl") if _usable(name, dtype)]


def message_records(
    model: WiredNetwork, network: str, batch: int, rounds: int, clock: Clock
) -> Iterator[dict[str, Any]]:
    """Seconds of each product of each stage's first block, by backend and number format."""
    sides = model.layout.resolutions(model.stem_side)
    for wired in model.body_stages():
        block, index = wired.stage.blocks[0], wired.indices()[0]
        columns = batch * sides[wired.stage.levels[-1].index] ** 2
        for form, dtype in _FORMS.items():
            if clock.left() < 0:
                return
            h = torch.randn(block.num_sources, columns, device=DEVICE).to(dtype)
            g = torch.randn(block.num_targets, columns, device=DEVICE).to(dtype)
            value = torch.randn(index.num_edges, device=DEVICE).to(dtype)
            # Only dense products know TF32.
            names = ["dense"] if form == "TF32" else backends_here(dtype)
            for each in PRODUCTS:
                calls = {name: _product(name, each, index, value, h, g) for name in names}
                with numbers("TF32" if form == "TF32" else "float32"):
                    seconds, reasons = median_seconds(calls, rounds, kernels=True, seconds=1)
                yield {
                    "network": network,
                    "block": f"{block.num_sources} → {block.num_targets}, {columns:,} columns",
                    "edges": index.num_edges,
                    "product": each,
                    "format": form,
                    "seconds": seconds,
                    "not run": reasons,
                    "least bytes": h.element_size() * columns * (block.num_sources + block.num_targets),
                    "macs": index.num_edges * columns,
                }
            del h, g, value
            release()


def node_records(rounds: int, smoke: bool, clock: Clock) -> Iterator[dict[str, Any]]:
    """Seconds of node operations forward and backward, ours and torch's, on levels of both networks."""
    sizes = [(64, 64, 112, 112, 1), (512, 64, 14, 14, 1), (1024, 64, 7, 7, 1), (192, 512, 8, 8, 1)]
    for channels, images, height, width, stride in [(1, 2, 3, 2, 1)] if smoke else sizes:
        norm = "instance" if height == 8 else "batch"
        for form in ("float32",) if smoke else ("float32", "bf16"):
            if clock.left() < 0:
                return
            z = torch.randn(channels, images, height, width, device=DEVICE).to(_FORMS[form])
            operation = NodeOperation(channels, NodeSpec(norm, stride=stride)).to(DEVICE)  # type: ignore[arg-type]
            calls = _node_calls(operation, z, channels * images if norm == "instance" else channels)
            for part in ("forward", "backward"):
                of_part = {name: call[part] for name, call in calls.items()}
                seconds, reasons = median_seconds(of_part, rounds, kernels=True, seconds=1)
                yield {
                    "maps": f"{norm} norm, {channels} × {images} × {height} × {width}",
                    "part": part,
                    "format": form,
                    "seconds": seconds,
                    "not run": reasons,
                    "least bytes": z.element_size() * z.numel() * (2 if part == "forward" else 3),
                }
            del z, calls, of_part
            release()


def tile_records(model: WiredNetwork, batch: int, rounds: int, clock: Clock) -> Iterator[dict[str, Any]]:
    """Seconds of the aggregation of each stage with neighbours of the tile that is chosen."""
    sides = model.layout.resolutions(model.stem_side)
    for wired in model.body_stages():
        block, index = wired.stage.blocks[0], wired.indices()[0]
        pointer, source = (each.to(DEVICE, torch.int32) for each in (index.pointer, index.source))
        columns = batch * sides[wired.stage.levels[-1].index] ** 2
        for dtype in (torch.float32, torch.bfloat16):
            if clock.left() < 0:
                return
            h = torch.randn(block.num_sources, columns, device=DEVICE).to(dtype)
            z = torch.empty(block.num_targets, columns, device=DEVICE, dtype=dtype)
            value = torch.randn(index.num_edges, device=DEVICE).to(dtype)
            chosen = aggregation_tile(block.num_targets, columns, h.element_size())
            operands = (h,), (z,), value, pointer, source
            seconds, _ = median_seconds(_tile_calls(chosen, operands), rounds, kernels=True, seconds=1)
            block_name = f"{block.num_sources} → {block.num_targets}, {columns:,} columns"
            yield {
                "block": block_name,
                "dtype": str(dtype),
                "chosen": str(tuple(chosen)),
                "seconds": seconds,
            }
            release()


def _tile_calls(chosen: Tile, operands: Any) -> dict[str, Call]:
    """An aggregation with each of the tiles around the chosen one."""
    widths = sorted({max(32, chosen.columns // 2), chosen.columns, 2 * chosen.columns})
    tiles = {chosen, *(Tile(*each) for each in product((2, 4, 8), widths, (1, 2, 4)))}
    return {
        str(tuple(tile)): lambda tile=tile: weighted_rows(*operands, add=False, tile=tile)  # type: ignore[misc]
        for tile in sorted(tiles)
    }


def _usable(name: str, dtype: torch.dtype) -> bool:
    try:
        usable_backend(name, DEVICE, dtype)
    except ValueError:
        return False
    return True


def _product(name: str, which: str, index: EdgeIndex, value: Tensor, h: Tensor, g: Tensor) -> Call:
    backend = find_backend(name)
    calls: dict[str, Call] = {
        "aggregate": lambda: backend.send(index, value, h)[0],
        "transposed": lambda: backend.send_back(index, value, [g]),
        "edge gradient": lambda: backend.edge_gradient(index, [g], h),
    }
    return calls[which]


def _node_calls(operation: NodeOperation, z: Tensor, groups: int) -> dict[str, dict[str, Call]]:
    ours, norm, kernel = TritonNodeKernels(), operation.norm, operation.kernel.detach()
    scale, shift = norm.weight.detach(), norm.bias.detach()

    def forward() -> tuple[Tensor, Tensor, Tensor]:
        mean, variance = ours.statistics(z, groups)
        rstd = torch.rsqrt(variance + norm.eps)
        return ours.forward(z, mean, rstd, scale, shift, kernel, operation.spec.stride), mean, rstd

    h, mean, rstd = forward()
    g, leaf = torch.randn_like(h), z.clone().requires_grad_()

    def by_torch() -> Tensor:
        with torch.autocast(z.device.type, dtype=torch.bfloat16, enabled=z.dtype == torch.bfloat16):
            return operation(leaf)

    def slopes() -> Callable[[], object]:
        kept = by_torch()
        wanted = [leaf, *operation.parameters()]
        return lambda: torch.autograd.grad(kept, wanted, g.to(kept.dtype), retain_graph=True)

    return {
        "triton": {
            "forward": forward,
            "backward": lambda: ours.backward(
                g, z, mean, rstd, scale, shift, kernel, operation.spec.stride, True
            ),
        },
        "torch": {"forward": lambda: by_torch().detach(), "backward": slopes()},
    }
