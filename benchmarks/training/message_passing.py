"""Message passing alone: every backend on each block of a network, forward and both gradients.

    python -m benchmarks.training.message_passing [--config configs/…] [--batch 32] [--rounds 7]

GFLOP/s count selected edges only (2 FLOPs per multiply-accumulate), whatever a backend executes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

import dnw_graph as dg
from benchmarks.common.timing import interleaved, write_results
from dnw_graph.message_passing import Backend, EdgeIndex, backends

DEFAULT = "configs/fashion_mnist/tiny_static_dnw.yaml"


def products(
    backend: Backend, index: EdgeIndex, value: Tensor, h: Tensor, g: Tensor
) -> dict[str, Callable[[], Tensor]]:
    """The three products of one backend on one block."""
    return {
        "forward": lambda: backend.send(index, value, h)[0],
        "to features": lambda: backend.send_back(index, value, [g]),
        "to selected weights": lambda: backend.edge_gradient(index, [g], h),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=DEFAULT)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.manual_seed(0)
    model = dg.build_model(dg.load_config(options.config))
    sides = model.layout.resolutions(model.stem_side)
    engines = [engine for engine in backends() if engine.available()]
    rows, data = [], []
    for stage in model.body.stages:
        side = sides[stage.stage.levels[-1].index]
        for block, index in zip(stage.stage.blocks, stage.indices(), strict=True):
            columns = options.batch * side * side
            h, g = torch.randn(block.num_sources, columns), torch.randn(block.num_targets, columns)
            value = torch.randn(index.num_edges)
            for product in ("forward", "to features", "to selected weights"):
                calls = {e.name: products(e, index, value, h, g)[product] for e in engines}
                seconds = interleaved(calls, options.rounds)
                flops = 2 * index.num_edges * columns
                name = f"{stage.name}: {block.num_sources} → {block.num_targets}, {side}×{side}"
                density = index.num_edges / block.size
                rows.append(
                    [name, product, f"{index.num_edges:,}", f"{density:.1%}"]
                    + [f"{s * 1e3:.2f} ({flops / s / 1e9:.1f})" for s in seconds.values()]
                )
                data.append({"block": name, "product": product, "edges": index.num_edges, "seconds": seconds})
    title = f"Message passing per block, {options.config}, batch {options.batch}: ms (GFLOP/s)"
    header = ["block", "product", "edges", "density", *(engine.name for engine in engines)]
    write_results("message_passing", title, header, rows, data)


if __name__ == "__main__":
    main()
