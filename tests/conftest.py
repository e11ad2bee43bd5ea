"""What several rooms' tests share: a graph of nine nodes, checked by hand, and the golden data."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

if not torch.cuda.is_available():
    # Before dnw_graph and parts of torch import triton: its kernels are then interpreted on the CPU.
    os.environ.setdefault("TRITON_INTERPRET", "1")

from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork

HAS_DGL = importlib.util.find_spec("dgl") is not None
EMULATES_ARM64 = all(map(shutil.which, ("aarch64-linux-gnu-gcc", "qemu-aarch64")))
GOLDEN = Path(__file__).with_name("golden")


@pytest.fixture
def nine_nodes() -> WiredNetwork:
    """Nine nodes in four levels, 8×8 pixels in stage 0 and 4×4 in stage 1; seven edges, in eval mode.

        level 0   level 1   level 2   level 3
          0 ──2──▶ 2 ──-1──▶ 4 ──1──▶ 6         0 ──0.5──▶ 4 skips level 1
          1        3 ──3───▶ 5 ──2──▶ 6         1 sends nothing, 3 and 8 receive nothing
                             5 ──-2─▶ 7   8

    A norm changes nothing but for a shift of 1 in node 3 and of 5 in node 4, and a convolution copies
    every second pixel from level 2 and every pixel elsewhere.
    """
    model = mobilenet_v1(
        rule="top_k",
        num_classes=2,
        image_size=8,
        density=0.5,
        blocks=((2, 2, 1, 2), (2, 3, 2, 1)),
    )
    first, second = (stage for _, stage in model.wired_stages())
    with torch.no_grad():
        for stage, edges in (
            (first, {0: 2.0, 4: 0.5, 8: -1.0, 11: 3.0}),
            (second, {0: 1.0, 1: 2.0, 3: -2.0}),
        ):
            stage.weight.zero_()
            ids = torch.tensor(sorted(edges))
            stage.weight[ids] = torch.tensor([edges[each] for each in sorted(edges)])
            stage.select(ids)
        for operation in model.body.operations:
            operation.norm.running_var.fill_(1 - operation.norm.eps)
            operation.kernel.zero_()
            operation.kernel[:, :, 1, 1] = 1
        model.body.operations[1].norm.bias[1] = 1
        model.body.operations[2].norm.bias[0] = 5
    return model.eval()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests that ask something of DGL or of an emulated arm64 where they are not installed."""
    asking = [
        item
        for item in items
        if (not HAS_DGL and _asks_dgl(item))
        or (not EMULATES_ARM64 and item.get_closest_marker("needs_arm64") is not None)
    ]
    if asking:
        config.hook.pytest_deselected(items=asking)
        items[:] = [item for item in items if item not in set(asking)]


def _asks_dgl(item: pytest.Item) -> bool:
    given = (
        item.callspec.params.values()
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else ()
    )
    named = any(each in ("dgl", ".bin") for each in given if isinstance(each, str))
    return named or item.get_closest_marker("needs_dgl") is not None


def pytest_report_header() -> list[str]:
    return [
        "dgl: installed, all tests run"
        if HAS_DGL
        else "dgl: not installed for this Python, so the tests that ask DGL for something are left out",
        "arm64: emulated by the slow tests of C code"
        if EMULATES_ARM64
        else "arm64: left out by the slow tests; install gcc-aarch64-linux-gnu and qemu-user to emulate it",
    ]


@pytest.fixture(scope="session")
def passing_by() -> Any:
    """passing_by(backend, network) → the network, whose messages pass by this backend."""

    def choose(backend: str, network: WiredNetwork) -> WiredNetwork:
        for _, stage in network.wired_stages():
            stage.backend = backend
        return network

    return choose


class GoldenCase:
    """One case of the golden data: `json` (its description) and `arrays` (numbers of the 2019 program)."""

    def __init__(self, name: str, fill: ModuleType) -> None:
        self.name, self._fill = name, fill
        self.json: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text())

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        with np.load(GOLDEN / f"{self.name}.npz") as file:
            return dict(file)

    @cached_property
    def state(self) -> dict[str, Tensor]:
        """The official state dictionary, checked against the recorded digests."""
        spec = self.json["spec"]
        state = self._fill.fill_all(spec)
        wrong = [name for name, value in state.items() if self._fill.digest(value) != spec["digests"][name]]
        assert not wrong, f"{self.name}: filled tensors differ from the recorded ones: {wrong}"
        return {name: torch.from_numpy(value) for name, value in state.items()}

    def state_in(self, dtype: torch.dtype) -> dict[str, Tensor]:
        return {
            name: value.to(dtype) if value.is_floating_point() else value
            for name, value in self.state.items()
        }

    @property
    def images(self) -> Tensor:
        """[B, 3, S, S] float32."""
        return torch.from_numpy(self._fill.fill_input(self.json["spec"]))

    @property
    def labels(self) -> Tensor:
        """[B] int64."""
        return torch.from_numpy(self._fill.fill_labels(self.json["spec"]))


@pytest.fixture(scope="session")
def load_module() -> Callable[[Path], ModuleType]:
    """load_module(path) → a Python file of no package, as a module."""

    def load(path: Path) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


_BUILDS = {
    "sanitizers": ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"],
    "sixteen lanes": ["-O2", "-DDNW_EMULATE_AVX512"],
}


@pytest.fixture(scope="session")
def other_build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, str]]:
    """other_build("sanitizers" or "sixteen lanes") → variables for a process with the C code so built."""
    sources = sorted((Path(__file__).parents[1] / "dnw_graph/native/source").glob("*.c"))

    def found(name: str) -> dict[str, str]:
        gcc = shutil.which("gcc")
        assert gcc is not None, "the tests of other builds need gcc"
        built = tmp_path_factory.mktemp("build") / "kernels.so"
        flags = [*_BUILDS[name], "-g", "-std=gnu11", "-pthread", "-fPIC", "-shared", "-Wno-psabi"]
        subprocess.run([gcc, *flags, *map(str, sources), "-o", str(built)], check=True)
        variables = {"DNW_GRAPH_NATIVE": str(built)}
        if name == "sanitizers":
            # Where C++ is loaded later, as by matplotlib, the sanitizer does not find what throws exceptions.
            asked = [[gcc, f"-print-file-name={name}"] for name in ("libasan.so", "libstdc++.so")]
            told = [subprocess.run(each, check=True, capture_output=True, text=True).stdout for each in asked]
            library = " ".join(each.strip() for each in told)
            variables |= {"ASAN_OPTIONS": "detect_leaks=0", "LD_PRELOAD": library}
        return variables

    return found


@pytest.fixture(scope="session")
def networks(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    """Networks for tests: random ones, and small ones of one structure."""
    return load_module(Path(__file__).with_name("networks.py"))


@pytest.fixture(scope="session")
def fill(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    """The fill rule of the golden data."""
    return load_module(GOLDEN / "fill.py")


@pytest.fixture(scope="session")
def golden_folder() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def golden(fill: ModuleType) -> Any:
    """golden(name) → GoldenCase, filled once per session."""
    cases: dict[str, GoldenCase] = {}

    def case(name: str) -> GoldenCase:
        if name not in cases:
            cases[name] = GoldenCase(name, fill)
        return cases[name]

    return case


@pytest.fixture(scope="session")
def small(load_module: Callable[[Path], ModuleType]) -> ModuleType:
    """What trains a small network in some seconds: `small_config` and `train_small_run`."""
    return load_module(Path(__file__).with_name("small_run.py"))


@pytest.fixture(scope="session")
def small_run(small: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of such a run; tests read it only."""
    return small.train_small_run(tmp_path_factory.mktemp("small") / "run")
