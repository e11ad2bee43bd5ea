"""Graphs as text: numbers that keep their value, records in batches, attributes in JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from dnw_graph.portable.graph import Array
    from dnw_graph.portable.schema import Field

Report = Callable[[int], object]
"""Is told how many more nodes and edges have been written."""

_BATCH = 4096


def silent(_: int) -> None:
    """The report that goes nowhere."""


def texts(values: Array) -> list[str]:
    """One text per number: the shortest that reads back as the same number of the same type; NaN is ""."""
    if values.dtype.kind == "i":
        return list(map(str, values.tolist()))
    return ["" if text == "nan" else text for text in map(str, values)]


def column(field: Field, values: Array, separator: str = " ") -> list[str]:
    """One text per node or edge; "" where it has none. A kernel's nine numbers have `separator` between."""
    if field.kind == "name":
        return [str(value) for value in values]
    if field.kind != "kernel":
        return texts(values)
    numbers = texts(values.reshape(-1))
    rows = (numbers[start : start + 9] for start in range(0, len(numbers), 9))
    return [separator.join(row) if row[0] else "" for row in rows]


def batches(
    make: Callable[..., str], columns: Sequence[Iterable[str]], report: Report, separator: str = ""
) -> Iterator[str]:
    """What `make` gives for each row of the columns, in pieces of many rows."""
    rows = zip(*columns, strict=True)
    before = ""
    while batch := list(islice(rows, _BATCH)):
        yield before + separator.join(make(*row) for row in batch)
        before = separator
        report(len(batch))


def float_types(fields: Iterable[Field], arrays: dict[str, Array]) -> dict[str, str]:
    """Name of each datum that is a floating-point number → float32 or float64."""
    return {field.name: str(arrays[field.name].dtype) for field in fields if field.has_float_type}


def to_json(value: Any) -> str:
    """Plain values as JSON on one line, keys sorted, ASCII."""
    return json.dumps(value, sort_keys=True, ensure_ascii=True, allow_nan=False)


def from_json(text: str | bytes, where: str, what: str) -> Any:
    """Plain values of JSON. Raises InputError, naming the file and what in it is no JSON."""
    try:
        return json.loads(text)
    except RecursionError:
        reason = "nested too deep"
    except ValueError as error:
        reason = " ".join(str(error).split())[:100]
    raise InputError(f"{where}: {what} not valid JSON ({reason}); it is damaged or of another kind")
