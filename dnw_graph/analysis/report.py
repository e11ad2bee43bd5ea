"""All measures of some wirings, with random graphs of equal budget beside them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from dnw_graph.analysis.chance import Spread, spread_of
from dnw_graph.analysis.measure import Key, Measure, Numbers, Place
from dnw_graph.analysis.measures import AGES, MEASURES, OVERLAP, TURNOVER
from dnw_graph.analysis.overlap import overlap_numbers
from dnw_graph.analysis.random_wirings import random_wirings
from dnw_graph.analysis.source import Source, read_source
from dnw_graph.analysis.turnover import age_numbers, turnover_numbers
from dnw_graph.analysis.wiring import Wiring
from dnw_graph.errors import InputError

DRAWS = 10


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


@dataclass(frozen=True)
class Report:
    """rows are ordered by measure, place, quantity as in the measure's units, and wiring."""

    sources: tuple[Source, ...]
    draws: int
    seed: int
    measures: tuple[Measure, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...]


def analyze(
    paths: Sequence[str | Path],
    *,
    checkpoint: str = "best",
    draws: int = DRAWS,
    seed: int = 0,
    measures: Collection[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Report:
    """All measures of each wiring, and the overlap of every two.

    paths       run directories, checkpoints in them, or files of exported wirings; all of one network
    checkpoint  which one of a run directory: best or last
    draws       random graphs of equal budget to compare with; seed  of their generator
    measures    names of those that are wanted; empty: all
    tell        is called with what is being done
    Raises InputError for what cannot be read or compared, and for a measure that is asked for by name but
    cannot be computed.
    """
    chosen = _chosen(measures)
    if draws < 0:
        raise InputError(f"{draws} random graphs cannot be drawn; give 0 or more")
    if seed < 0:
        raise InputError(f"seed {seed} is negative; give 0 or more")
    sources = []
    for path in paths:
        tell(f"reading {path}")
        sources.append(read_source(path, checkpoint))
    _check(sources, chosen, measures)
    rows, notes = _rows(sources, chosen, draws, seed, tell)
    order = {measure.name: number for number, measure in enumerate(chosen)}
    units = {measure.name: list(measure.units) for measure in chosen}
    # Stable: wirings stay in the order in which they were given.
    rows.sort(key=lambda row: (order[row.measure], _last(row.place), units[row.measure].index(row.quantity)))
    return Report(tuple(sources), draws, seed, chosen, tuple(rows), tuple(notes))


def _chosen(names: Collection[str]) -> tuple[Measure, ...]:
    known = [measure.name for measure in MEASURES]
    if unknown := [name for name in names if name not in known]:
        raise InputError(f"measure {unknown[0]!r} is unknown; use {', '.join(known)}")
    return tuple(measure for measure in MEASURES if not names or measure.name in names)


def _check(sources: Sequence[Source], chosen: Sequence[Measure], names: Collection[str]) -> None:
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


def _rows(
    sources: Sequence[Source], chosen: Sequence[Measure], draws: int, seed: int, tell: Callable[[str], None]
) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    notes: list[str] = []
    compared: list[tuple[Wiring, dict[str, list[Numbers]]]] = []
    for source in sources:
        wiring = source.wiring
        same = [found for known, found in compared if _same_budget(known, wiring)]
        random = same[0] if same else _random_numbers(wiring, chosen, draws, seed, tell)
        if not same:
            compared.append((wiring, random))
        for measure in chosen:
            if measure.numbers is not None:
                tell(f"{source.name}: {measure.name}")
                numbers, drawn = measure.numbers(wiring), random[measure.name]
                rows += _of(source.name, "", measure, numbers, _spreads(numbers, drawn))
                notes += _shortage(source.name, measure, len(drawn), draws)
        if source.stored is not None:
            changes, chances = turnover_numbers(source.stored)
            rows += _of(source.name, "", TURNOVER, changes, chances) if TURNOVER in chosen else []
            rows += _of(source.name, "", AGES, age_numbers(source.stored), {}) if AGES in chosen else []
        elif TURNOVER in chosen or AGES in chosen:
            notes.append(source.missing)
    if OVERLAP in chosen:
        for one, other in combinations(sources, 2):
            rows += _of(one.name, other.name, OVERLAP, *overlap_numbers(one.wiring, other.wiring))
    return rows, notes


def _same_budget(one: Wiring, other: Wiring) -> bool:
    return one.budgets == other.budgets and bool((one.read == other.read).all())


def _random_numbers(
    wiring: Wiring, chosen: Sequence[Measure], draws: int, seed: int, tell: Callable[[str], None]
) -> dict[str, list[Numbers]]:
    """Per measure, its numbers of each random graph; one graph in memory at a time."""
    found: dict[str, list[Numbers]] = {measure.name: [] for measure in chosen}
    for number, drawn in enumerate(random_wirings(wiring, draws, seed), 1):
        for measure in chosen:
            if measure.numbers is not None and number <= measure.draws(draws, wiring.num_edges):
                tell(f"random graph {number} of {draws}: {measure.name}")
                found[measure.name].append(measure.numbers(drawn))
    return found


def _spreads(numbers: Numbers, drawn: Sequence[Numbers]) -> dict[Key, Spread]:
    """Of every number that the wiring or a random graph has. What is counted by bin and missing is 0."""
    spreads = {}
    for key in dict.fromkeys([*numbers, *(key for each in drawn for key in each)]):
        if key[0].bin is None:
            values = [each[key] for each in drawn if key in each]
        else:
            values = [each.get(key, 0) for each in drawn]
        if values:
            spreads[key] = spread_of(values)
    return spreads


def _of(
    name: str, other: str, measure: Measure, numbers: Numbers, random: Mapping[Key, Spread]
) -> Iterator[Row]:
    for key in dict.fromkeys([*numbers, *(key for key in random if key[0].bin is not None)]):
        place, quantity = key
        beside = None if quantity in measure.alone else random.get(key)
        yield Row(
            name, other, measure.name, place, quantity, numbers.get(key, 0), measure.units[quantity], beside
        )


def _shortage(name: str, measure: Measure, drawn: int, draws: int) -> list[str]:
    if drawn >= draws or not measure.random:
        return []
    few = f"{drawn} random graphs instead of {draws}, for they take long at this size"
    return [f"{name}: {measure.name} beside {few}"]


def _describe(source: Source) -> str:
    return f"{source.network}, {source.wiring.num_nodes:,} nodes in {len(source.wiring.layout.levels)} levels"


def _last(place: Place) -> tuple[float, ...]:
    """Sorts what is about the whole to the end."""
    return tuple(math.inf if value is None else value for value in place)
