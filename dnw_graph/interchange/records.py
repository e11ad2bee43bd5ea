"""From the records of a text file, which may say anything, to a graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from dnw_graph.errors import InputError
from dnw_graph.portable.check import check_attributes, check_graph
from dnw_graph.portable.graph import Array, Graph
from dnw_graph.portable.levels import MAX_NODES
from dnw_graph.portable.schema import EDGE_FIELDS, ENDS, NODE_FIELDS, Field

MAX_EDGES = 2_000_000
"""The largest wirings of the published networks have 753,816 edges; .npz files may have more."""

_INTEGER = re.compile(r"-?[0-9]{1,19}", flags=re.ASCII)
_NUMBER = re.compile(r"-?[0-9.eE+-]{1,40}|-?inf|nan", flags=re.ASCII | re.IGNORECASE)


class NotThatError(ValueError):
    """A value is not what its column holds."""


@dataclass
class Records:
    """What a text file says, not yet believed. A value is a text, or what JSON makes of it; None: absent.

    ids     number of each node, in any order
    nodes, edges  name of a datum → one value per node or edge; edges have source and target too
    types   name of a datum → float32 or float64; without it, float64
    """

    attributes: Any
    ids: list[Any] = field(default_factory=list)
    nodes: dict[str, list[Any]] = field(default_factory=dict)
    edges: dict[str, list[Any]] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)


def check_size(nodes: int, edges: int, where: str) -> None:
    """Refuse more nodes or edges than a text file may have."""
    if nodes > MAX_NODES:
        _refuse(where, f"has more than {MAX_NODES} nodes, the most that is read")
    if edges > MAX_EDGES:
        _refuse(where, f"has more than {MAX_EDGES} edges, the most that is read from text; use .npz")


def to_graph(records: Records, where: str) -> Graph:
    """The graph that the records describe. Raises InputError, naming the file, if they are no wiring."""
    # Before anything else, for a newer version may have other data.
    check_attributes(records.attributes, where)
    numbers = _integers(records.ids, "id of node", where)
    if numbers.size and (numbers.min() < 0 or numbers.max() >= MAX_NODES):
        wrong = numbers[(numbers < 0) | (numbers >= MAX_NODES)][0]
        _refuse(where, f"a node has the number {wrong}; nodes are numbered from 0 to at most {MAX_NODES - 1}")
    order = np.argsort(numbers, kind="stable")
    numbers = numbers[order]
    if (twice := np.flatnonzero(np.diff(numbers) == 0)).size:
        _refuse(where, f"node {numbers[twice[0]]} is there twice; give each node once")
    _check_there(records, where)
    nodes = {
        each.name: _column(each, records.nodes, records.types, "node", where)[order] for each in NODE_FIELDS
    }
    part = records.attributes.get("part", {})
    if "levels" in part or not np.array_equal(numbers, np.arange(len(numbers))):
        nodes["number"] = numbers
    edges = {
        each.name: _column(each, records.edges, records.types, "edge", where)
        for each in (*ENDS, *EDGE_FIELDS)
    }
    for end in ENDS:
        edges[end.name] = _positions(edges[end.name], numbers, end.name, where)
    graph = Graph(nodes, edges, records.attributes)
    check_graph(graph, where, allow_part=True)
    return graph


def _check_there(records: Records, where: str) -> None:
    """Name a datum that is missing everywhere, before one that is missing somewhere."""
    operated = any(norm not in (None, "none") for norm in records.nodes.get("norm", ()))
    for kind, fields, columns in (
        ("nodes", NODE_FIELDS, records.nodes),
        ("edges", (*ENDS, *EDGE_FIELDS), records.edges),
    ):
        for each in fields:
            values = columns.get(each.name, [None])
            may_be_absent = not values or (kind == "nodes" and each.has_float_type and not operated)
            if not may_be_absent and all(value is None or value == "" for value in values):
                _refuse(where, f"has no {kind}.{each.name}; give a whole graph, as dnw-graph writes it")


def _positions(ends: Array, numbers: Array, name: str, where: str) -> Array:
    """Nodes' numbers [E] → their positions among all nodes' ascending numbers [N]."""
    found = np.searchsorted(numbers, ends)
    absent = (
        numbers[np.minimum(found, len(numbers) - 1)] != ends if len(numbers) else np.ones(len(ends), bool)
    )
    if absent.any():
        edge = int(np.argmax(absent))
        _refuse(where, f"{name} of edge {edge} is {ends[edge]}, which is no node of this graph")
    return found.astype(np.int64)


def _column(
    each: Field, columns: dict[str, list[Any]], types: dict[str, str], kind: str, where: str
) -> Array:
    values = columns[each.name]
    what = f"{each.name} of {kind}"
    if each.kind == "integer":
        return _integers(values, what, where)
    if each.kind == "name":
        return _names(values, each.known, what, where)
    name = types.get(each.name, "float64")
    if name not in ("float32", "float64"):
        _refuse(where, f"{each.name} is of type {name!r:.60}; float32 and float64 are known")
    convert = _kernel if each.kind == "kernel" else _number
    numbers = _converted(convert, values, what, where)
    with np.errstate(over="ignore"):
        return np.array(numbers, dtype=np.float64).reshape(-1, *each.shape).astype(name)


def _integers(values: Sequence[Any], what: str, where: str) -> Array:
    return np.array(_converted(_integer, values, what, where), dtype=np.int64)


def _names(values: Sequence[Any], known: tuple[str, ...], what: str, where: str) -> Array:
    for position, value in enumerate(values):
        if value not in known:
            said = "missing" if value is None else f"{value!r:.60}"
            _refuse(where, f"{what} {position} is {said}; {', '.join(known)} are known")
    # One width for all, the same as when the network itself is asked.
    return np.array(values, dtype=f"<U{max(map(len, known))}")


def _converted(convert: Callable[[Any], Any], values: Sequence[Any], what: str, where: str) -> list[Any]:
    converted = []
    try:
        for value in values:
            converted.append(convert(value))
    except NotThatError as error:
        said = "missing" if value is None else f"{value!r:.60}, not {error}"
        _refuse(where, f"{what} {len(converted)} is {said}")
    return converted


def _integer(value: Any) -> int:
    if type(value) is str and _INTEGER.fullmatch(value):
        value = int(value)
    if type(value) is not int or not -(2**63) <= value < 2**63:
        raise NotThatError("a whole number of 64 bits")
    return value


def _number(value: Any) -> float:
    if value is None or value == "":
        return float("nan")
    if type(value) is float or (type(value) is int and abs(value) < 2**1000):
        return float(value)
    if type(value) is str and _NUMBER.fullmatch(value):
        try:
            return float(value)
        except ValueError:
            pass
    raise NotThatError("a number")


def _kernel(value: Any) -> list[float]:
    if value is None or value == "":
        return [float("nan")] * 9
    numbers = value[:1000].split() if type(value) is str else value
    if type(numbers) is not list or len(numbers) != 9:
        raise NotThatError("nine numbers")
    return [_number(number) for number in numbers]


def _refuse(where: str, what: str) -> NoReturn:
    raise InputError(f"{where}: {what}")
