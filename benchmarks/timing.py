"""Interleaved timing: every contender once per round, so that a noisy neighbour troubles all alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from machine import machine

RESULTS = Path(__file__).parent / "results"


def interleaved(
    contenders: Mapping[str, Callable[[], object]], rounds: int, warm_up: int = 1
) -> dict[str, float]:
    """Median seconds per call of each contender."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(warm_up + rounds):
        for name, call in contenders.items():
            start = time.perf_counter()
            call()
            if round_number >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def write_results(name: str, title: str, header: list[str], rows: list[list[str]], data: Any) -> None:
    """Print a table; write it as Markdown, and the numbers as JSON, under benchmarks/results/."""
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
    ]
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    stem = RESULTS / f"{name}-{about['date']}"
    stem.with_suffix(".md").write_text("\n".join(lines))
    stem.with_suffix(".json").write_text(json.dumps({"machine": about, "results": data}, indent=1) + "\n")
