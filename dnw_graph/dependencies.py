"""The only door to DGL, torchvision and PyG, which may be missing, lag behind torch or diverge from it.

Importing this module imports neither them nor torch; call `load_dgl()`, `load_torchvision()` or `load_pyg()`
where the module is needed. The guards change how a package is imported, never what it computes. `missing_of`
says which packages of an extra are not installed.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from dnw_graph.errors import InputError

# What is imported of each extra of pyproject.toml that the package itself uses.
EXTRAS = {
    "figures": ("matplotlib",),
    "hub": ("huggingface_hub",),
    "onnx": ("onnx",),
    "tensorboard": ("tensorboard", "matplotlib"),
}


@cache
def load_dgl() -> ModuleType:
    """Return `dgl`, imported with its PyTorch backend whichever torch is installed.

    Raises InputError if DGL or something that it imports is missing, if it cannot be loaded, or if
    DGLBACKEND asks for another framework than PyTorch.
    """
    spec = _require("dgl")
    # With the variable unset, DGL prints a notice and writes ~/.dgl/config.json.
    backend = os.environ.setdefault("DGLBACKEND", "pytorch")
    if backend != "pytorch":
        raise InputError(
            f"DGLBACKEND={backend}: dnw-graph works on torch tensors; unset it or set it to pytorch."
        )
    # DGL 2 loads GraphBolt, its mini-batch loader, on import and has its C++ library only for the torch
    # versions of its day. Nothing here samples neighbours, so where the real one cannot be loaded an inert
    # stand-in serves.
    if "dgl" not in sys.modules and _has_graphbolt(spec) and not _graphbolt_loads(spec):
        sys.modules["dgl.graphbolt"] = _AbsentGraphBolt("dgl.graphbolt")
    with warnings.catch_warnings():
        # A docstring of DGL holds "\P", which Python reports where it compiles them for the first time.
        warnings.filterwarnings("ignore", message="invalid escape sequence")
        return _import("dgl")


@cache
def load_torchvision() -> ModuleType:
    """Return `torchvision`, also beside a torch build that its C++ library does not fit.

    There, datasets, transforms and models work; `nms` and other compiled operators raise when called.
    Raises InputError if torchvision is missing or cannot be loaded.
    """
    _require("torchvision")
    if "torchvision" in sys.modules:
        return sys.modules["torchvision"]
    with _no_fakes_without_operators():
        return _import("torchvision")


@cache
def load_pyg() -> ModuleType:
    """Return `torch_geometric`. Raises InputError if it or something that it imports is missing or broken."""
    _require("torch_geometric", needed_by="dg.to_pyg")
    with warnings.catch_warnings():
        # It calls torch.jit.script while it is imported, which torch 2.10 deprecates.
        warnings.simplefilter("ignore", DeprecationWarning)
        return _import("torch_geometric")


def missing_of(extra: str) -> str | None:
    """What an extra of this package lacks here, as a clause with the fix; None if everything is installed."""
    absent = [package for package in EXTRAS[extra] if not _exists(package)]
    if not absent:
        return None
    are = "is" if len(absent) == 1 else "are"
    return f"{' and '.join(absent)} {are} not installed; run `pip install 'dnw-graph[{extra}]'`"


class _AbsentGraphBolt(ModuleType):
    """Stands for `dgl.graphbolt`: can be imported, has nothing in it."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"dgl.graphbolt.{name} is not available: DGL's GraphBolt was not built for this torch"
        )


def _has_graphbolt(spec: ModuleSpec) -> bool:
    return (_folder(spec) / "graphbolt").is_dir()


def _graphbolt_loads(spec: ModuleSpec) -> bool:
    """The library is named after the exact torch release; datapipes were dropped by later torchdata."""
    release = _import("torch").__version__.split("+", maxsplit=1)[0]
    library = _folder(spec) / "graphbolt" / f"libgraphbolt_pytorch_{release}.so"
    return library.is_file() and _exists("torchdata.datapipes")


@contextmanager
def _no_fakes_without_operators() -> Iterator[None]:
    """Meanwhile a fake kernel for an operator that nothing has defined is not registered, where torch raises.

    PyPI's torchvision is built against CUDA torch. Beside a CPU torch it skips its library silently, then
    registers fake kernels for `nms` and `qnms`, which only the library would have defined. Nothing is
    defined here in its place: whatever the library is called and whenever it is loaded, what it defines is
    defined once. Fake kernels serve torch.compile and meta tensors; an absent operator needs none.
    """
    torch = _import("torch")
    register_fake = torch.library.register_fake

    def register_if_defined(operator: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(operator, str):
            namespace, _, name = operator.partition("::")
            if not hasattr(getattr(torch.ops, namespace), name):
                return lambda kernel: kernel
        return register_fake(operator, *arguments, **options)

    torch.library.register_fake = register_if_defined
    try:
        yield
    finally:
        torch.library.register_fake = register_fake


def _require(package: str, *, needed_by: str = "dnw-graph") -> ModuleSpec:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(_missing(package, needed_by=needed_by))
    return spec


def _import(package: str) -> ModuleType:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        absent = (error.name or package).partition(".")[0]
        raise InputError(_missing(absent, needed_by="dnw-graph" if absent == package else package)) from error
    except (ImportError, OSError, RuntimeError) as error:
        raise InputError(
            f"The installed {package} cannot be loaded ({' '.join(str(error).split())}); "
            "install the versions of constraints/, which fit each other, with `make test` on Linux x86-64."
        ) from error


def _missing(package: str, *, needed_by: str) -> str:
    running = ".".join(map(str, sys.version_info[:2]))
    if package == "dgl" and not (3, 10) <= sys.version_info[:2] <= (3, 12):
        return (
            f"DGL has no wheel for Python {running}; use Python 3.10, 3.11 or 3.12, or what needs no DGL: "
            "the other backends, GraphML, npz and node-link files, dg.to_networkx, dg.to_pyg."
        )
    return (
        f"{package}, which {needed_by} needs, is not installed for this Python {running}; "
        f"run `pip install {package}`."
    )


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _folder(spec: ModuleSpec) -> Path:
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
