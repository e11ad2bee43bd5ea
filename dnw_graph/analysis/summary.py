"""The few numbers that say most about wirings, in one table."""

from __future__ import annotations

from dataclasses import dataclass

from dnw_graph.analysis.hubs import HUBS
from dnw_graph.analysis.measure import Measure
from dnw_graph.analysis.overlap import OVERLAP
from dnw_graph.analysis.paths import PATHS
from dnw_graph.analysis.report import Report, Row
from dnw_graph.analysis.size import SIZE
from dnw_graph.analysis.spans import SPANS
from dnw_graph.analysis.statuses import STATUSES
from dnw_graph.analysis.tables import Line, Table, number_text, spread_text
from dnw_graph.analysis.turnover import TURNOVER


@dataclass(frozen=True)
class Item:
    """A line of the summary: a quantity of the whole wiring; of turnover, that of the last epoch."""

    words: str
    measure: Measure
    quantity: str


ITEMS = (
    Item("nodes", SIZE, "nodes"),
    Item("nodes on a path from stem to classifier (live)", STATUSES, "live"),
    Item("edges", SIZE, "edges"),
    Item("candidate edges", SIZE, "candidates"),
    Item("edges between live nodes, %", STATUSES, "live_edges_share"),
    Item("edges that skip a level, %", SPANS, "skipping_share"),
    Item("paths from stem to classifier", PATHS, "paths"),
    Item("their mean length, in edges", PATHS, "mean_length"),
    Item("nodes that receive more edges than chance gives", HUBS, "in_hubs"),
    Item("nodes that send more edges than chance gives", HUBS, "out_hubs"),
    Item("edge ends at the busiest tenth of the nodes, %", HUBS, "top_10_percent_share"),
    Item("edges new in the last epoch", TURNOVER, "entered"),
)

MEASURES = tuple(dict.fromkeys(item.measure.name for item in ITEMS))
"""Names of the measures that a summary of one wiring needs; of several, OVERLAP as well."""


def measures_for(wirings: int) -> tuple[str, ...]:
    """Names of the measures that the summary of so many wirings needs, if they have them."""
    return (*MEASURES, OVERLAP.name) if wirings > 1 else MEASURES


def summary_of(report: Report) -> Table:
    """A line for each item, a column for each wiring, and one for the random graphs behind it.

    Wirings one after another with the same random graphs share a column of them.
    """
    names = [source.name for source in report.sources]
    found = {(row.wiring, row.measure, row.quantity): row for row in report.rows if _is_whole(row)}
    items = [
        item for item in ITEMS if any((name, item.measure.name, item.quantity) in found for name in names)
    ]
    columns: list[str] = [""]
    cells: list[list[str]] = [[item.words] for item in items]
    for position, name in enumerate(names):
        mine = [found.get((name, item.measure.name, item.quantity)) for item in items]
        columns.append("wiring" if len(names) == 1 else name)
        for line, row in zip(cells, mine, strict=True):
            line.append("" if row is None else number_text(row.value, row.unit))
        beside = [row.random if row is not None else None for row in mine]
        following = names[position + 1] if position + 1 < len(names) else ""
        theirs = [found.get((following, item.measure.name, item.quantity)) for item in items]
        shared = following and beside == [row.random if row is not None else None for row in theirs]
        if any(beside) and not shared:
            columns.append("random")
            for line, row in zip(cells, mine, strict=True):
                line.append(spread_text(row.random, row.unit) if row is not None and row.random else "")
    return Table("Summary", tuple(columns), tuple(Line(tuple(line)) for line in cells))


def overlap_sentences(report: Report) -> list[str]:
    """A sentence for every two wirings."""
    sentences = []
    for row in report.rows:
        if row.measure == OVERLAP.name and row.quantity == "common" and row.place.stage is None:
            chance = f" ({spread_text(row.random, row.unit)} by chance)" if row.random else ""
            common = number_text(row.value, row.unit)
            sentences.append(f"{row.wiring} and {row.other} have {common} edges in common{chance}")
    return sentences


def _is_whole(row: Row) -> bool:
    """About the whole wiring. Rows are in order, so that of turnover the last epoch's is the last one."""
    place = row.place
    return place.stage is None and place.level is None and (place.bin is None or row.measure == TURNOVER.name)
