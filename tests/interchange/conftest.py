"""Small networks that differ in everything, and what it means that two graphs are the same."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from dnw_graph.errors import InputError
from dnw_graph.interchange import Graph, load_graph
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.portable.schema import RAW_NORM


@pytest.fixture(scope="session")
def wired() -> Callable[..., WiredNetwork]:
    return wired_network


@pytest.fixture(scope="session")
def without_raw_norms() -> Callable[[Graph], Graph]:
    """What text files hold of a graph: all but the norms' own tensors."""

    def strip(graph: Graph) -> Graph:
        nodes = {name: values for name, values in graph.nodes.items() if name not in RAW_NORM}
        return Graph(nodes, graph.edges, graph.attributes)

    return strip


@pytest.fixture(scope="session")
def refused() -> Callable[[Path, bytes | str, str], None]:
    """refused(path, content, message): such a file is refused in one sentence."""

    def check(path: Path, content: bytes | str, message: str) -> None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(InputError, match=message) as caught:
            load_graph(path)
        said = str(caught.value)
        assert said.startswith(f"{path}: ")
        assert "\n" not in said
        assert len(said) < 400

    return check


@pytest.fixture(scope="session")
def evaluator() -> ModuleType:
    """The plain evaluator of the tests of inference."""
    path = Path(__file__).parents[1] / "inference" / "evaluator.py"
    spec = importlib.util.spec_from_file_location("interchange_evaluator", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
