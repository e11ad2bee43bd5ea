"""Message passing alone, stage by stage: the native product against DGL's, and what it moves."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from benchmarks.common.timing import samples
from dnw_graph.message_passing import EdgeIndex, find_backend
from dnw_graph.models.network import WiredNetwork

BACKENDS = ("native", "dgl")


def stage_messages(
    model: WiredNetwork, batch: int, names: Iterable[str], rounds: int, seconds: float
) -> list[dict[str, Any]]:
    """Per stage: its work, the bytes of its features and edges, and the seconds of its blocks' products.

    bytes   every source read once, every target written once, weight and source number of every edge
    """
    sides = model.layout.resolutions(model.stem_side)
    found = []
    for wired in model.body_stages():
        side = sides[wired.stage.levels[-1].index]
        columns = batch * side * side
        taken = dict.fromkeys(names, 0.0)
        moved = edges = 0
        blocks = []
        for block, index in zip(wired.stage.blocks, wired.indices(), strict=True):
            h, value = torch.randn(block.num_sources, columns), torch.randn(index.num_edges)
            calls = {name: _product(name, h, value, index) for name in taken}
            times = samples(calls, rounds, burst=5 if batch == 1 else 1, pause=0.002, seconds=seconds)
            medians = {name: statistics.median(each) for name, each in times.items()}
            for name, median in medians.items():
                taken[name] += median
            edges += index.num_edges
            moved += 4 * columns * (block.num_sources + block.num_targets) + 12 * index.num_edges
            blocks.append(medians)
        found.append(
            {
                "stage": wired.name,
                "side": side,
                "edges": edges,
                "flops": 2 * edges * columns,
                "bytes": moved,
                "seconds": taken,
                "blocks": blocks,
            }
        )
    return found


def _product(name: str, h: Tensor, value: Tensor, index: EdgeIndex) -> Callable[[], Tensor]:
    backend = find_backend(name)
    return lambda: backend.send(index, value, h)[0]
