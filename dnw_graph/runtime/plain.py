"""A program as values of JSON and named arrays, and back; of flat steps, without `Repeat` and `Integrate`.

Edges become bytes (see `edges`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any, TypeVar, get_args

import numpy as np

from dnw_graph.graph.node_spec import Activation, NodeSpec, NormKind
from dnw_graph.program.program import Array, Program
from dnw_graph.program.steps import Edges, Flat, Step
from dnw_graph.runtime.edges import packed, unpacked

Arrays = dict[str, Array]
Made = TypeVar("Made")

_KINDS = {kind.__name__: kind for kind in Flat}
_ENDS = ("column", "row")
_MOST = 1 << 20
"""No channel count, stride or level is larger."""


def plain(program: Program, prefix: str) -> tuple[dict[str, Any], Arrays]:
    """(values of JSON, arrays); names of the arrays begin with the prefix."""
    arrays: Arrays = {}
    owners = {step.name: step for step in program.steps}
    for key, values in program.tensors.items():
        owner, _, leaf = key.rpartition(".")
        if not (isinstance(owners[owner], Edges) and leaf in _ENDS):
            arrays[prefix + key] = values
    for step in owners.values():
        if isinstance(step, Edges):
            row, column = program.tensor(step, "row"), program.tensor(step, "column")
            kind, codes = packed(row, column, sum(step.sizes), program.channels[step.source])
            arrays[f"{prefix}{step.name}.{kind}"] = codes
    steps = [{"kind": type(step).__name__, **asdict(step)} for step in program.steps]
    return {"channels": dict(program.channels), "steps": steps}, arrays


def program_of(value: object, arrays: Mapping[str, Array], prefix: str, image_size: int) -> Program:
    """What `plain` wrote. Raises ValueError for anything else; shapes are not looked at."""
    given = record(value, "channels", "steps")
    channels = {text(name): count(size) for name, size in mapping(given["channels"]).items()}
    steps = tuple(_step(each) for each in sequence(given["steps"]))
    mine = {name.removeprefix(prefix): each for name, each in arrays.items() if name.startswith(prefix)}
    tensors: Arrays = {name: each for name, each in mine.items() if each.dtype.kind == "f"}
    for step in steps:
        if not isinstance(step, Edges) or f"{step.name}.row" in tensors:
            continue
        found = [kind for kind in ("gaps", "bits") if f"{step.name}.{kind}" in mine]
        if len(found) != 1 or step.source not in channels:
            raise ValueError(f"has no edges for step {step.name[:80]!r}")
        codes = mine.pop(f"{step.name}.{found[0]}")
        if codes.dtype != np.uint8 or codes.ndim != 1:
            raise ValueError(f"has edges of step {step.name[:80]!r} that are no bytes")
        rows, columns = sum(step.sizes), channels[step.source]
        edges = _edges_of(step, tensors, found[0], codes)
        row, column = unpacked(found[0], codes, rows, columns, edges)
        tensors |= {f"{step.name}.row": row, f"{step.name}.column": column}
    if extra := [name for name, each in mine.items() if each.dtype.kind != "f"]:
        raise ValueError(f"has a tensor {extra[0][:80]!r} that no step has")
    return Program(steps, channels, tensors, image_size)


def _edges_of(step: Edges, tensors: Arrays, kind: str, codes: Array) -> int:
    """The number of edges: of weights, or where there are none of what the bytes say."""
    weight = tensors.get(f"{step.name}.weight")
    if weight is not None:
        return weight.size
    return int(np.unpackbits(codes).sum()) if kind == "bits" else int((codes != 255).sum())


def _step(value: object) -> Step:
    given = mapping(value)
    kind = _KINDS.get(str(given.get("kind")))
    if kind is None:
        raise ValueError(f"has a step of kind {_shown(given.get('kind'))}, which this version lacks")
    return _made(kind, {name: each for name, each in given.items() if name != "kind"})


def _made(kind: type[Made], given: Mapping[str, object]) -> Made:
    """A record, field by field."""
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if given.keys() != set(names):
        raise ValueError(f"has a {kind.__name__} without {', '.join(names)}, or with more")
    return kind(**{name: _FIELDS[name](given[name]) for name in names})


# Values of JSON as what they should be; ValueError if they are not.


def mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"has {_shown(value)} where an object of JSON is wanted")
    return value


def record(value: object, *names: str) -> dict[str, Any]:
    """An object with at least these keys."""
    given = mapping(value)
    if missing := [name for name in names if name not in given]:
        raise ValueError(f"lacks {missing[0]!r} in its header")
    return given


def sequence(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"has {_shown(value)} where a list is wanted")
    return value


def text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"has {_shown(value)} where a text is wanted")
    return value


def count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST:
        raise ValueError(f"has {_shown(value)} where a number from 0 to {_MOST:,} is wanted")
    return value


def number(value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):  # type: ignore[arg-type]
        raise ValueError(f"has {_shown(value)} where a number is wanted")
    return float(value)  # type: ignore[arg-type]


def flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"has {_shown(value)} where true or false is wanted")
    return value


def one_of(*names: str) -> Callable[[object], str]:
    def chosen(value: object) -> str:
        if value not in names:
            raise ValueError(f"has {_shown(value)} where one of {', '.join(names)} is wanted")
        return str(value)

    return chosen


def _window(value: object) -> tuple[int, ...] | None:
    if value is None:
        return None
    window = tuple(count(each) for each in sequence(value))
    if len(window) != 3:
        raise ValueError(f"has {_shown(value)} where a window is wanted")
    return window


def _eps(value: object) -> float:
    if not 0 <= (eps := number(value)) <= 1e6:
        raise ValueError(f"has eps {eps}")
    return eps


def _shown(value: object) -> str:
    return repr(value)[:80]


_FIELDS: dict[str, Callable[[object], Any]] = {
    "name": text,
    "part": text,
    "source": text,
    "target": text,
    "targets": lambda value: tuple(text(each) for each in sequence(value)),
    "sizes": lambda value: tuple(count(each) for each in sequence(value)),
    "stride": count,
    "padding": count,
    "level": count,
    "kernel_size": count,
    "depthwise": flag,
    "eps": _eps,
    "norm": one_of(*get_args(NormKind)),
    "activation": one_of(*get_args(Activation)),
    "spec": lambda value: _made(NodeSpec, mapping(value)),
    "window": _window,
}
