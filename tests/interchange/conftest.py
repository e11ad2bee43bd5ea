"""Small networks that differ in everything, and what it means that two graphs are the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from dnw_graph.interchange import Graph
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static


@pytest.fixture(scope="session")
def wired() -> Callable[..., WiredNetwork]:
    return wired_network


@pytest.fixture(scope="session")
def assert_same() -> Callable[[Graph, Graph], None]:
    return assert_same_graph


def wired_network(network: str, seed: int, **options: Any) -> WiredNetwork:
    """A small network in eval mode whose norms and running statistics are nobody's defaults."""
    if network == "tiny_static":
        options = {"groups": (4, 6, 6), "readout": 5, "stem_channels": 3, "edges": 40, **options}
        model = tiny_static(rule="top_k", num_classes=3, seed=seed, **options)
    else:
        options = {"blocks": ((4, 6, 1, 2), (6, 8, 2, 3)), "density": 0.4, **options}
        model = mobilenet_v1(rule="top_k", num_classes=3, image_size=32, seed=seed, **options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point() and not name.startswith("body.stages"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
        for operation in model.body.operations:
            operation.kernel.sub_(1)  # type: ignore[operator, union-attr]
    return model.eval()


def assert_same_graph(one: Graph, other: Graph) -> None:
    assert one.attributes == other.attributes
    for mine, theirs in ((one.nodes, other.nodes), (one.edges, other.edges)):
        assert mine.keys() == theirs.keys()
        for name in mine:
            assert mine[name].dtype == theirs[name].dtype, name
            np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
