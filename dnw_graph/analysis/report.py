"""All measures of some wirings, with random graphs of equal budget beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dnw_graph.analysis.chance import Spread
from dnw_graph.analysis.comparison import Comparison, spreads_of
from dnw_graph.analysis.measure import Key, Measure, Numbers, Place
from dnw_graph.analysis.measures import AGES, MEASURES, OVERLAP, TURNOVER
from dnw_graph.analysis.overlap import overlap_numbers
from dnw_graph.analysis.random_wirings import RandomGraphs
from dnw_graph.analysis.source import Source, read_source
from dnw_graph.analysis.turnover import age_numbers, turnover_numbers
from dnw_graph.arguments import expect, one_of, path_of, several
from dnw_graph.errors import InputError
from dnw_graph.shown import Rows, Shown, counted, listed


@dataclass(frozen=True)
class Row:
    """One number of one wiring.

    other   the second wiring, of numbers that compare two; else empty
    random  the same number of random graphs of equal budget, where that has a meaning
    """

    wiring: str
    other: str
    measure: str
    place: Place
    quantity: str
    value: int | float
    unit: str
    random: Spread | None = None


@dataclass(frozen=True, repr=False)
class Report(Shown):
    """Numbers of some wirings.

    random  how the random graphs beside them were drawn
    rows    ordered by measure, place, quantity as in the measure's units, and wiring
    notes   what is missing, and why
    """

    sources: tuple[Source, ...]
    random: RandomGraphs
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    def shown(self) -> tuple[str, Rows]:
        names = [measure.name for measure in self.measures]
        numbers = f"{len(self.rows):,} in rows, beside {counted(self.random.draws, 'random graph')}"
        sources = [("wiring", source.shown()[0]) for source in self.sources[:5]]
        rows = [*sources, ("measures", listed(names, 20)), ("numbers", numbers)]
        title = f"Analysis of {counted(len(self.sources), 'wiring')}"
        return title, [*rows, *(("note", each) for each in self.notes[:5])]


def analyze(
    paths: Sequence[str | Path],
    *,
    checkpoint: str | None = None,
    random: RandomGraphs | None = None,
    measures: Collection[str] = (),
    strict: bool = True,
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """All measures of each wiring, and the overlap of every two.

    paths       run directories, checkpoints in them, or files of exported wirings; all of one network
    checkpoint  which one of a run directory: best or last; None: the best, where one was chosen
    random      the random graphs to compare with; None: the default ones
    measures    names of those that are wanted; empty: all
    strict      refuse what is wanted by name and cannot be computed; else a note says so
    tell        is called with what is being done
    Raises InputError for what cannot be read or compared, for an unknown measure, and as `strict` says.
    """
    paths = several(paths, "paths", "a list of runs or files")
    paths = [path_of(each, "one of the paths") for each in paths]
    if not paths:
        raise InputError("there is nothing to analyze; give a list of runs or files")
    if checkpoint is not None:
        one_of(checkpoint, ("best", "last"), "checkpoint")
    expect(random, (RandomGraphs, type(None)), "random", "analysis.RandomGraphs(draws=10)")
    measures = several(measures, "measures", 'a list of names, such as ["degrees"]')
    chosen = _chosen(measures)
    sources = []
    for path in paths:
        tell(f"reading {path}")
        sources.append(read_source(path, checkpoint))
    _check(sources, measures if strict else ())
    random = random or RandomGraphs()
    comparison = Comparison(random, chosen, tell)
    rows: list[Row] = []
    notes: list[str] = []
    for source in sources:
        rows += _measured(source, chosen, comparison, tell)
        rows += _changes(source, chosen)
        notes += _shortages(source, chosen, random.draws)
    if OVERLAP in chosen:
        for one, other in combinations(sources, 2):
            rows += _of(one.name, other.name, OVERLAP, *overlap_numbers(one.wiring, other.wiring))
    order = {measure.name: number for number, measure in enumerate(chosen)}
    units = {measure.name: list(measure.units) for measure in chosen}
    # Stable: wirings stay in the order in which they were given.
    rows.sort(key=lambda row: (order[row.measure], _last(row.place), units[row.measure].index(row.quantity)))
    return Report(tuple(sources), random, chosen, tuple(rows), tuple(dict.fromkeys(notes)))


def _chosen(names: Collection[str]) -> tuple[Measure, ...]:
    known = [measure.name for measure in MEASURES]
    for name in names:
        expect(name, str, "measure", f"one of {', '.join(known)}")
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"measure {unknown[0]!r} is unknown; use {', '.join(known)}")
    return tuple(measure for measure in MEASURES if not names or measure.name in names)


def _check(sources: Sequence[Source], names: Collection[str]) -> None:
    for source in sources[1:]:
        if source.wiring.layout != sources[0].wiring.layout:
            first = sources[0]
            raise InputError(
                f"{source.name}: is of another network ({_describe(source)}) than {first.name} "
                f"({_describe(first)}); analyze them one at a time"
            )
    if OVERLAP.name in names and len(sources) < 2:
        raise InputError(f"measure {OVERLAP.name!r} compares two wirings; give another RUN")
    wanted = next((name for name in names if name in (TURNOVER.name, AGES.name)), None)
    missing = next((source for source in sources if source.stored is None), None)
    if wanted and missing:
        raise InputError(f"{missing.missing}, or leave out measure {wanted!r}")


def _measured(
    source: Source, chosen: Sequence[Measure], comparison: Comparison, tell: Callable[[str], None]
) -> Iterator[Row]:
    drawn = comparison.numbers(source.wiring)
    for measure in chosen:
        if measure.numbers is not None:
            tell(f"{source.name}: {measure.name}")
            numbers = measure.numbers(source.wiring)
            yield from _of(source.name, "", measure, numbers, spreads_of(numbers, drawn[measure.name]))


def _changes(source: Source, chosen: Sequence[Measure]) -> Iterator[Row]:
    if source.stored is not None and TURNOVER in chosen:
        yield from _of(source.name, "", TURNOVER, *turnover_numbers(source.stored))
    if source.stored is not None and AGES in chosen:
        yield from _of(source.name, "", AGES, age_numbers(source.stored), {})


def _shortages(source: Source, chosen: Sequence[Measure], draws: int) -> Iterator[str]:
    if source.part:
        yield source.part
    for measure in chosen:
        possible = measure.draws(draws, source.wiring.num_edges)
        if measure.numbers is not None and measure.random and possible < draws:
            few = f"{possible} random graphs instead of {draws}, because they take long at this size"
            yield f"{source.name}: {measure.name} compared with {few}"
    if source.stored is None and (TURNOVER in chosen or AGES in chosen):
        yield source.missing


def _of(
    name: str, other: str, measure: Measure, numbers: Numbers, random: Mapping[Key, Spread]
) -> Iterator[Row]:
    for key in dict.fromkeys([*numbers, *(key for key in random if key[0].bin is not None)]):
        place, quantity = key
        beside = None if quantity in measure.alone else random.get(key)
        yield Row(
            name, other, measure.name, place, quantity, numbers.get(key, 0), measure.units[quantity], beside
        )


def _describe(source: Source) -> str:
    return f"{source.network}, {source.wiring.num_nodes:,} nodes in {len(source.wiring.layout.levels)} levels"


def _last(place: Place) -> tuple[float, ...]:
    """Sorts what is about the whole to the end."""
    return tuple(math.inf if value is None else value for value in place)
