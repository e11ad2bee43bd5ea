"""Interleaved timing: every contender once per round, so that a noisy neighbour troubles all alike."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common.machine import machine

RESULTS = Path(__file__).parents[1] / "results"


def interleaved(
    contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1
) -> dict[str, float]:
    """Median seconds per call of each contender."""
    times = samples(contenders, rounds, warm_up)
    return {name: statistics.median(values) for name, values in times.items()}


def samples(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 1,
    *,
    burst: int = 1,
    pause: float = 0.0,
    seconds: float = math.inf,
) -> dict[str, list[float]]:
    """Seconds of every timed call of each contender.

    burst    timed calls of a contender per round; if more than one, an untimed call precedes them
    pause    seconds of sleep before each turn, in which threads of the one before stop spinning
    seconds  no new round begins after these, but two are always made
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    begin = time.perf_counter()
    for round_number in range(-warm_up, rounds):
        if round_number >= 2 and time.perf_counter() - begin > seconds:
            break
        for name, call in contenders.items():
            time.sleep(pause)
            if burst > 1:
                call()
            for _ in range(burst if round_number >= 0 else 1):
                start = time.perf_counter()
                call()
                if round_number >= 0:
                    times[name].append(time.perf_counter() - start)
    return times


def write_results(
    name: str, title: str, header: list[str], rows: list[list[str]], data: Any, notes: Sequence[str] = ()
) -> None:
    """Print a table and notes; write them as Markdown, and the numbers as JSON, under benchmarks/results/."""
    about = machine()
    lines = [
        f"# {title}",
        "",
        ", ".join(f"{key} {value}" for key, value in about.items()),
        "",
        "| " + " | ".join(header) + " |",
        "| " + " | ".join("---" for _ in header) + " |",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
        *(f"- {note}" for note in notes),
        *([""] if notes else []),
    ]
    print("\n".join(lines))
    path = write_numbers(name, data)
    path.with_suffix(".md").write_text("\n".join(lines))


def write_numbers(name: str, data: Any) -> Path:
    """Write the numbers alone as JSON, also those of a benchmark that is not at its end; where they are."""
    about = machine()
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}-{about['date']}.json"
    path.write_text(json.dumps({"machine": about, "results": data}, indent=1) + "\n")
    return path
