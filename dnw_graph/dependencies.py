"""The only door to DGL and torchvision, two packages whose wheels lag behind or diverge from torch.

Importing this module imports neither them nor torch; call `load_dgl()` or `load_torchvision()` where the
module is needed. The guards change how a package is imported, never what it computes.
"""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from dnw_graph.errors import InputError

# What torchvision registers fake kernels for while it is being imported, as its C++ library declares them.
_TORCHVISION_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


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
    spec = _require("torchvision")
    if "torchvision" not in sys.modules and not _torchvision_library_loads(spec):
        # PyPI's torchvision is built against CUDA torch. Beside a CPU torch its library is skipped silently,
        # then fake kernels are registered for operators that only the library would have defined. A schema
        # is enough for them.
        _define_torchvision_operators()
    return _import("torchvision")


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


def _torchvision_library_loads(spec: ModuleSpec) -> bool:
    """Ask the loader itself, before torchvision does: a half-finished import could not be repeated."""
    library = PathFinder.find_spec("_C", [str(_folder(spec))])
    if library is None:
        return False
    torch = _import("torch")
    try:
        torch.ops.load_library(library.origin)
    except OSError:
        return False
    return True


@cache
def _define_torchvision_operators() -> Any:
    """Declare the missing operators; the returned handle must live as long as they do, hence the cache."""
    torch = _import("torch")
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _TORCHVISION_SCHEMAS:
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)
    return library


def _require(package: str) -> ModuleSpec:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise InputError(_missing(package, needed_by="dnw-graph"))
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
        return f"DGL has no wheel for Python {running}; use Python 3.10, 3.11 or 3.12."
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
