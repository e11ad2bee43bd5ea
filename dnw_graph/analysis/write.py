"""A report as a CSV or JSON file, the same bytes for the same report."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from dnw_graph.analysis.report import Report, Row
from dnw_graph.arguments import expect, path_of
from dnw_graph.errors import InputError
from dnw_graph.interchange.file import write_bytes

VERSION = 1
SUFFIXES = (".csv", ".json")
COLUMNS = (
    "wiring",
    "other",
    "measure",
    "stage",
    "level",
    "to_level",
    "bin",
    "quantity",
    "value",
    "unit",
    "random_mean",
    "random_sd",
    "random_draws",
)


def check_suffix(path: str | Path) -> None:
    """Raises InputError for a suffix that names no format."""
    suffix = Path(path).suffix
    if suffix.lower() not in SUFFIXES:
        raise InputError(
            f"{path}: the suffix {suffix!r} names no format for analyses; use {', '.join(SUFFIXES)}"
        )


def write_report(report: Report, path: str | Path) -> None:
    """Write COLUMNS of all rows; .csv or .json says how.

    In CSV, what does not apply is empty; in JSON it is absent. Integers are exact, however large.
    Raises InputError for another suffix, or a place that cannot be written.
    """
    expect(report, Report, "report", "what analyze gives")
    path = path_of(path, "path")
    check_suffix(path)
    make = _csv if Path(path).suffix.lower() == ".csv" else _json
    write_bytes(Path(path), make(report).encode())


def _cells(row: Row) -> dict[str, Any]:
    random = row.random
    values = (
        row.wiring,
        row.other or None,
        row.measure,
        *row.place,
        row.quantity,
        row.value,
        row.unit,
        *((None, None, None) if random is None else random),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _csv(report: Report) -> str:
    content = io.StringIO()
    writer = csv.DictWriter(content, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_cells(row) for row in report.rows)
    return content.getvalue()


def _json(report: Report) -> str:
    head = {
        "format": "dnw-graph analysis",
        "version": VERSION,
        "random": asdict(report.random),
        "wirings": [
            {"name": source.name, "network": source.network, "rule": source.rule} for source in report.sources
        ],
        "measures": {
            measure.name: {"title": measure.title, "bin": measure.bin, "units": dict(measure.units)}
            for measure in report.measures
        },
        "notes": list(report.notes),
    }
    rows = [
        json.dumps({name: value for name, value in _cells(row).items() if value is not None}, allow_nan=False)
        for row in report.rows
    ]
    text = json.dumps(head, indent=1, allow_nan=False)
    # One row a line, so that files can be compared line by line.
    return text.removesuffix("\n}") + ',\n "rows": [\n  ' + ",\n  ".join(rows) + "\n ]\n}\n"
