"""Accuracy and swaps of several runs against steps, one figure and one table.

    python -m benchmarks.plots.runs -o curves.png "DNW=docs/results/fashion_mnist_tiny/dnw-s*.jsonl"

Each argument is LABEL=PATTERN of metrics.jsonl files, one per seed. With --ages, the figure also shows how
long the wiring's edges have been in it; the file is made of run directories, which hold every epoch's wiring:

    python -m benchmarks.plots.runs --ages-of runs/dnw-s0 runs/dnw-s1 -o ages.json
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import numpy
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dnw_graph.analysis import ages_by_epoch, stored_wirings, wiring_of

Records = list[dict[str, Any]]

# Of the edges of a wiring, the ages at these shares from the youngest are kept.
QUARTILES = (0.25, 0.5, 0.75)

# Okabe and Ito's palette, told apart by the colour-blind; line styles tell them apart in grey.
STYLES = [("#0072B2", "-"), ("#D55E00", "--"), ("#009E73", "-."), ("#CC79A7", ":"), ("#E69F00", "-")]


def read(pattern: str) -> list[Records]:
    """The epoch records of every run that the pattern matches."""
    files = sorted(Path().glob(pattern))
    if not files:
        raise SystemExit(f"{pattern}: matches no file; give metrics.jsonl files of finished runs")
    runs = [[json.loads(line) for line in file.read_text().splitlines()] for file in files]
    return [[record for record in run if record["kind"] == "epoch"] for run in runs]


def ages_of(runs: list[Path]) -> list[dict[str, Any]]:
    """Per run and stored epoch: the quartiles of the edges' ages, and the share that was there at first."""
    found = []
    for run in runs:
        stored = stored_wirings(run, wiring_of(run).layout)
        epochs = [
            {
                "epoch": epoch,
                "quartiles": [float(numpy.quantile(ages, share)) for share in QUARTILES],
                "first": float((ages == epoch - stored.epochs[0]).mean()),
            }
            for epoch, ages in zip(stored.epochs, ages_by_epoch(stored), strict=True)
        ]
        found.append({"run": run.name, "epochs": epochs})
    return found


def draw(groups: dict[str, list[Records]], ages: list[dict[str, Any]], path: Path) -> None:
    """Test accuracy (thin: seeds, thick: mean), swaps per epoch and ages, against optimiser steps."""
    panels = 3 if ages else 2
    figure = Figure(figsize=(4.5 * panels, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    accuracy, swaps, *rest = figure.subplots(1, panels)
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
    for axes in rest:
        records = next(iter(groups.values()))[0]
        _draw_ages(axes, ages, records[-1]["step"] // records[-1]["epoch"])
    for axes in (accuracy, swaps, *rest):
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def _draw_ages(axes: Axes, ages: list[dict[str, Any]], steps_per_epoch: int) -> None:
    """Median and middle half of the edges' ages, in steps, mean of the runs."""
    epochs = [each["epoch"] for each in ages[0]["epochs"]]
    steps = [epoch * steps_per_epoch for epoch in epochs]
    quartiles = numpy.mean([[each["quartiles"] for each in run["epochs"]] for run in ages], axis=0)
    low, median, high = quartiles.T * steps_per_epoch
    axes.fill_between(steps, low, high, color=STYLES[0][0], alpha=0.2, label="middle half")
    axes.plot(steps, median, color=STYLES[0][0], lw=2, label="median edge")
    axes.plot(steps, steps, color="black", lw=1, ls=":", label="as old as the training")
    axes.set(xlabel="optimiser steps", ylabel="steps since the edge last entered")


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
    parser.add_argument("runs", nargs="*", metavar="LABEL=PATTERN")
    parser.add_argument("--ages", type=Path, help="file that --ages-of made")
    parser.add_argument(
        "--ages-of", type=Path, nargs="+", metavar="RUN", help="write the ages of their edges"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="figure to write (PNG), or file of ages"
    )
    options = parser.parse_args()
    if options.ages_of:
        options.output.write_text(json.dumps(ages_of(options.ages_of), indent=1) + "\n")
        return
    groups = {label: read(pattern) for label, _, pattern in (each.partition("=") for each in options.runs)}
    draw(groups, json.loads(options.ages.read_text()) if options.ages else [], options.output)
    print(table(groups))


if __name__ == "__main__":
    main()
