"""A report laid out for people: a table per measure, random graphs beneath the wirings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from dnw_graph.analysis.chance import Spread
from dnw_graph.analysis.measure import Measure, Place
from dnw_graph.analysis.report import Report, Row


@dataclass(frozen=True)
class Line:
    """cells: as many as the table has columns; is_random: not of a wiring, but of random graphs."""

    cells: tuple[str, ...]
    is_random: bool = False


@dataclass(frozen=True)
class Table:
    """The first two columns hold words: where, and which wiring (in a summary, one); the others numbers."""

    title: str
    columns: tuple[str, ...]
    lines: tuple[Line, ...]


def heading_of(report: Report) -> list[str]:
    """What was analyzed, and what the random lines of the tables mean."""
    lines = [f"{source.name}: {source.network}, rule {source.rule}" for source in report.sources]
    random = report.random
    if random.draws:
        kept = "in each stage" if random.keep == "stages" else "from each level to each level"
        lines.append(
            f"random: mean ± standard deviation of {random.draws} graphs with as many edges {kept}, "
            f"drawn from the same candidates (seed {random.seed})"
        )
    if any(row.random is not None and row.random.draws is None for row in report.rows):
        lines.append("chance: mean ± standard deviation by formula, see docs/analysis.md")
    return lines


def tables_of(report: Report) -> list[Table]:
    """Of all measures that are printed and have rows."""
    found = []
    for measure in report.measures:
        rows = [row for row in report.rows if row.measure == measure.name]
        if measure.printed and rows:
            found.append(_table(measure, _said_once(rows), len(report.sources) == 1))
    return found


def _said_once(rows: list[Row]) -> list[Row]:
    """Without those of the only stage, where the same is said of the whole."""
    stages = {row.place.stage for row in rows} - {None}
    wholes = {(row.place, row.quantity) for row in rows if row.place.stage is None}
    if len(stages) > 1:
        return rows
    return [
        row
        for row in rows
        if row.place.stage is None or (row.place._replace(stage=None), row.quantity) not in wholes
    ]


def _table(measure: Measure, rows: list[Row], alone: bool) -> Table:
    present = {row.quantity for row in rows}
    quantities = [name for name in measure.units if name in present]
    lines: list[Line] = []
    for place, here in groupby(rows, key=lambda row: row.place):
        lines += _lines(_where(place, measure.bin), list(here), quantities, alone)
    columns = ("", "", *(_heading(name, measure.units[name]) for name in quantities))
    return Table(measure.title, columns, tuple(lines))


def _lines(where: str, rows: list[Row], quantities: list[str], alone: bool) -> list[Line]:
    """A line per wiring, and one beneath for the random graphs that it shares with those before it."""
    made: list[Line] = []
    beside: list[Row] = []
    for wiring, other in dict.fromkeys((row.wiring, row.other) for row in rows):
        mine = [row for row in rows if (row.wiring, row.other) == (wiring, other)]
        if beside and [row.random for row in mine] != [row.random for row in beside]:
            made += _random_line(beside, quantities)
        beside = mine
        values = {row.quantity: number_text(row.value, row.unit) for row in mine}
        name = "wiring" if alone else f"{wiring}, {other}" if other else wiring
        cells = (values.get(quantity, "") for quantity in quantities)
        made.append(Line(("" if made else where, name, *cells)))
    return made + _random_line(beside, quantities)


def _random_line(rows: list[Row], quantities: Sequence[str]) -> list[Line]:
    spreads = {row.quantity: (row.random, row.unit) for row in rows if row.random is not None}
    if not spreads:
        return []
    draws = max(spread.draws or 0 for spread, _ in spreads.values())
    cells = (spread_text(*spreads[quantity]) if quantity in spreads else "" for quantity in quantities)
    return [Line(("", f"{draws} random" if draws else "chance", *cells), is_random=True)]


def _where(place: Place, name: str) -> str:
    if place.to_level is not None:
        return f"{place.level} → {place.to_level}"
    words = [
        f"{what} {value}"
        for what, value in (("stage", place.stage), ("level", place.level), (name, place.bin))
        if value is not None
    ]
    return ", ".join(words) or "all"


def _heading(quantity: str, unit: str) -> str:
    words = quantity.replace("_", " ")
    return f"{words.removesuffix(' share')} %" if unit == "share" else words


def spread_text(spread: Spread, unit: str) -> str:
    """Mean ± standard deviation."""
    if not spread.sd:
        whole = int(spread.mean)
        return number_text(whole if whole == spread.mean else spread.mean, unit)
    return f"{number_text(float(spread.mean), unit)} ± {number_text(float(spread.sd), unit)}"


def number_text(value: int | float, unit: str) -> str:
    """A share as percentage; 15 digits of whole numbers, about four of others."""
    if unit == "share":
        value = 100.0 * value
    size = abs(value)
    if size >= 10**15 or 0 < size < 0.0001:
        return f"{Decimal(value):.3e}"
    if not value or isinstance(value, int):
        return f"{value:,.0f}"
    digits = 4 if size < 0.1 else 3 if size < 1 else 2 if size < 100 else 1 if size < 1000 else 0
    return f"{value:,.{digits}f}"
