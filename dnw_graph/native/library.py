"""The compiled library: where it is, why it may be missing, and its functions."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path

from dnw_graph.errors import InputError
from dnw_graph.native.structures import SIZES

INSTRUCTIONS = ("avx512", "avx2", "portable")
_MISSING = (
    "the C kernels were not built when the package was installed; install a C compiler (gcc or clang), "
    "then install the package anew with `pip install --no-deps --force-reinstall .` from its sources"
)
_pointer, _long, _int, _text = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_char_p


def reason() -> str | None:
    """Why the library cannot be used here, with the fix; None if it can."""
    try:
        load()
    except InputError as error:
        return str(error)
    return None


@cache
def load() -> ctypes.CDLL:
    """The library with its functions declared; InputError if it is missing or cannot be loaded.

    The environment variable DNW_GRAPH_NATIVE names another build of it, for example one with sanitizers.
    """
    where = path()
    try:
        library = ctypes.CDLL(where)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        raise InputError(
            f"{where}: the C kernels cannot be loaded ({error}); install the package anew"
        ) from None
    for name, size in SIZES.items():
        found = library.dnw_size_of(name.encode())
        if found != size:
            raise InputError(
                f"{where}: the C kernels were built from other sources ({name} has {found} bytes there, "
                f"{size} here); install the package anew"
            )
    _share_threads(library)
    return library


def _share_threads(library: ctypes.CDLL) -> None:
    """Tell the library which OpenMP this process has loaded (torch's, as a rule), if it can be found.

    Threads of two libraries would wait for each other's cores: after each of torch's operations its threads
    spin for some milliseconds.
    """
    try:
        with Path("/proc/self/maps").open() as maps:
            paths = {line.split(maxsplit=5)[-1].strip() for line in maps if "omp" in line.rpartition("/")[2]}
    except OSError:
        return
    # Other packages may have brought one of their own.
    for path in sorted(paths, key=lambda path: ("/torch/" not in path, path)):
        try:
            openmp = ctypes.CDLL(path)
            functions = [getattr(openmp, name) for name in _OPENMP]
        except (OSError, AttributeError):
            continue
        library.dnw_use_openmp(*(ctypes.cast(function, _pointer) for function in functions))
        return


def path() -> str:
    """Where the library is; InputError if it is missing."""
    # No Python module, whatever setuptools calls it: one build serves every Python, so that the name has
    # neither a version nor an ABI in it.
    found = Path(__file__).with_name("_kernels.so")
    if asked := os.environ.get("DNW_GRAPH_NATIVE"):
        return asked
    if not found.is_file():
        raise InputError(_MISSING)
    return str(found)


@cache
def instructions() -> str:
    """Which instruction set the kernels use here: avx512, avx2 or portable.

    The environment variable DNW_GRAPH_INSTRUCTIONS asks for another one; InputError if it cannot run here.
    """
    asked = os.environ.get("DNW_GRAPH_INSTRUCTIONS", "")
    name = load().dnw_instructions(asked.encode())
    if name is None:
        raise InputError(
            f"DNW_GRAPH_INSTRUCTIONS={asked}: this processor cannot run that; "
            f"choose from {', '.join(INSTRUCTIONS)} or leave it unset"
        )
    return str(name.decode())


def supported() -> list[str]:
    """The instruction sets that this processor can run, the fastest first."""
    return [name for name in INSTRUCTIONS if load().dnw_instructions(name.encode()) is not None]


# Functions and status values of `source/api.h`.
BAD_PLAN, NO_MEMORY, NO_INSTRUCTIONS, DONE = -2, -1, 0, 1

_OPENMP = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")

_FUNCTIONS: dict[str, tuple[type | None, list[type]]] = {
    "dnw_size_of": (_long, [_text]),
    "dnw_instructions": (_text, [_text]),
    "dnw_use_openmp": (None, [_pointer, _pointer, _pointer]),
    "dnw_product": (_int, [_pointer, _int, _text]),
    "dnw_edge_products": (_int, [_pointer, _int, _text]),
    "dnw_statistics": (_int, [_pointer, _pointer, _pointer, _int, _text]),
    "dnw_node_forward": (_int, [_pointer, _pointer, _int, _text]),
    "dnw_node_backward": (_int, [_pointer, _pointer, _pointer, _int, _text]),
    "dnw_stage_edges": (None, [_pointer, _pointer, _long, _long, *[_pointer] * 5]),
    "dnw_stage_forward": (_int, [_pointer, _int, _text]),
    "dnw_stage_backward": (_int, [_pointer, _pointer, _int, _text]),
    "dnw_scratch_floats": (_long, [_int, _int]),
    "dnw_plan_new": (
        _int,
        [_pointer, _long, _pointer, _long, _pointer, _long, _pointer, _long, _text, _pointer],
    ),
    "dnw_plan_free": (None, [_pointer]),
    "dnw_workspace_new": (_pointer, [_pointer, _int]),
    "dnw_workspace_free": (None, [_pointer]),
    "dnw_plan_run": (_long, [_pointer, _pointer, _pointer, _long, _pointer, _int, _pointer]),
}
