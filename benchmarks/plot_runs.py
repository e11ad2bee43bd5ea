"""Accuracy and swaps of several runs against steps, one figure and one table.

    cd docs/results/fashion_mnist_tiny
    python ../../../benchmarks/plot_runs.py -o curves.png "DNW=dnw-s*.jsonl" "random=random-s*.jsonl"

Each argument is LABEL=PATTERN of metrics.jsonl files, one per seed.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Records = list[dict[str, Any]]

# Okabe and Ito's palette, told apart by the colour-blind; line styles tell them apart in grey.
STYLES = [("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#E69F00", "-")]


def read(pattern: str) -> list[Records]:
    """The epoch records of every run that the pattern matches."""
    files = sorted(Path().glob(pattern))
    if not files:
        raise SystemExit(f"{pattern}: matches no file; give metrics.jsonl files of finished runs")
    runs = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    return [[record for record in run if record["kind"] == "epoch"] for run in runs]


def draw(groups: dict[str, list[Records]], path: Path) -> None:
    """Test accuracy (thin: seeds, thick: mean) and swaps per epoch, both against optimiser steps."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    accuracy, swaps = figure.subplots(1, 2)
    for (label, runs), (colour, line) in zip(groups.items(), STYLES, strict=False):
        steps = [record["step"] for record in runs[0]]
        for run in runs:
            accuracy.plot(
                steps, [100 * r["test_top1"] for r in run], color=colour, ls=line, lw=0.7, alpha=0.6
            )
        means = [
            100 * statistics.mean(r["test_top1"] for r in records) for records in zip(*runs, strict=True)
        ]
        accuracy.plot(steps, means, color=colour, ls=line, lw=2, label=label)
        entered = [statistics.mean(r["swaps"] for r in records) for records in zip(*runs, strict=True)]
        if any(entered):
            swaps.plot(steps, entered, color=colour, ls=line, lw=2, marker="o", ms=3, label=label)
    accuracy.set(xlabel="optimiser steps", ylabel="test accuracy, %")
    swaps.set(xlabel="optimiser steps", ylabel="edges that entered, per epoch", yscale="log")
    for axes in (accuracy, swaps):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def table(groups: dict[str, list[Records]]) -> str:
    """Final accuracy per seed and swaps per epoch, in Markdown."""
    lines = ["| run | seeds | final test accuracy, % (each seed) | mean | swaps per epoch, mean |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for label, runs in groups.items():
        final = [100 * run[-1]["test_top1"] for run in runs]
        entered = [round(statistics.mean(r["swaps"] for r in records)) for records in zip(*runs, strict=True)]
        each = ", ".join(f"{value:.2f}" for value in final)
        shown = ", ".join(f"{value:,}" for value in entered) if any(entered) else "–"
        lines.append(f"| {label} | {len(runs)} | {each} | {statistics.mean(final):.2f} | {shown} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="LABEL=PATTERN")
    parser.add_argument("-o", "--output", type=Path, required=True, help="figure to write (PNG)")
    options = parser.parse_args()
    groups = {label: read(pattern) for label, _, pattern in (each.partition("=") for each in options.runs)}
    draw(groups, options.output)
    print(table(groups))


if __name__ == "__main__":
    main()
