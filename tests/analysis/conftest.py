"""Wirings for the measures: the nine nodes, random ones, and run directories that need no training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from dnw_graph.analysis.source import wiring_of
from dnw_graph.analysis.wiring import Wiring, wiring_from_ids
from dnw_graph.config import config_from_dict
from dnw_graph.graph.layout import Layout, chain_of_stages, groups_with_readout
from dnw_graph.models.registry import build_model
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.training.adopt import adopt

CHAIN = chain_of_stages([(3, 4, 1, 2), (4, 3, 2, 3)])
READOUT = groups_with_readout([3, 4, 4], 3)


@pytest.fixture
def nine(nine_nodes) -> Wiring:
    """The nine nodes of tests/conftest.py, all outputs read: edges 0→2 0→4 2→4 3→5 | 4→6 5→6 5→7."""
    return wiring_of(nine_nodes)


@pytest.fixture(scope="session")
def wirings() -> Callable[[Layout], st.SearchStrategy[Wiring]]:
    """wirings(layout) → strategy of wirings with any edges and any nodes read."""
    return _wirings


@st.composite
def _wirings(draw: st.DrawFn, layout: Layout) -> Wiring:
    ids = [
        draw(st.sets(st.integers(0, stage.num_candidates - 1), max_size=stage.num_candidates // 2))
        for stage in layout.stages
    ]
    read = draw(st.lists(st.booleans(), min_size=layout.levels[-1].size, max_size=layout.levels[-1].size))
    return wiring_from_ids(layout, [np.array(sorted(each), dtype=np.int64) for each in ids], np.array(read))


@pytest.fixture(scope="session")
def layouts() -> dict[str, Layout]:
    return {"chain": CHAIN, "readout": READOUT}


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """make_run(path, seed=0, stored=[ids, …]) → a run of the tiny network that was never trained."""
    return _make_run


def _make_run(path: Path, seed: int = 0, stored: Sequence[Sequence[int]] = (), edges: int = 300) -> Path:
    """stored  wirings of epochs 1, 2, …; that of epoch 0 is the network's own"""
    cfg = config_from_dict(
        {
            "model": {"network": "tiny_static", "edges": edges, "image_size": 32, "num_classes": 10},
            "data": {"dataset": "digits"},
            "training": {"epochs": 2, "batch_size": 64, "seed": seed, "device": "cpu"},
        }
    )
    adopt(cfg, build_model(cfg), path)
    for epoch, ids in enumerate(stored, 1):
        RunDirectory(path).save_wiring(epoch, {"stage_0": torch.tensor(ids)})
    return path
