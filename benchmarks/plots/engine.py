"""The roofline of the engine's own operations and the tables of docs/performance.md about it.

    python -m benchmarks.plots.engine benchmarks/results/engine_stages-DATE.json -o docs/figures/engine.png

One panel per network, on one thread: what each stage's operations of one kind do per second, beside what
memory, the second-level cache and sgemm allowed in the same run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.plots.inference import COLOURS, MARKERS

KINDS = dict(zip(("messages", "nodes", "convolution"), COLOURS, strict=False))
NAMES = {"messages": "messages", "nodes": "node operations", "convolution": "stem"}


def draw(cells: list[dict[str, Any]], best: dict[str, float], path: Path) -> None:
    """GFLOP/s over FLOP per byte that must move."""
    figure = Figure(figsize=(4.2 * len(cells), 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(1, len(cells), squeeze=False, sharey=True).ravel()
    for axes, cell in zip(grid, cells, strict=True):
        _ceilings(axes, best)
        for part in cell["variants"]["as it is"]:
            if part["kind"] in KINDS and part["macs"]:
                x, y = (2 * part["macs"] / each for each in (part["bytes"], part["seconds"] * 1e9))
                axes.plot(x, y, _marker(part["stage"]), color=KINDS[part["kind"]], ms=7)
        axes.set(xscale="log", yscale="log", title=cell["network"], xlabel="FLOP per byte that must move")
        axes.grid(alpha=0.3, which="both")
    grid[0].set_ylabel("GFLOP/s, one thread")
    stages = sorted({part["stage"] for part in cells[0]["variants"]["as it is"] if part["kind"] == "nodes"})
    marks = [
        grid[0].plot([], [], _marker(stage), color="grey", label=stage)[0] for stage in ["stem", *stages]
    ]
    marks += [grid[0].plot([], [], "s", color=colour, label=NAMES[kind])[0] for kind, colour in KINDS.items()]
    figure.legend(handles=marks, loc="outside lower center", ncols=9, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _marker(stage: str) -> str:
    return "*" if stage == "stem" else MARKERS[int(stage.rpartition("_")[2]) % len(MARKERS)]


def _ceilings(axes: Axes, best: dict[str, float]) -> None:
    low, high = 0.3, 40.0
    xs = [low, best["sgemm"] / best["read"], high]
    axes.plot(xs, [min(best["sgemm"], x * best["read"]) for x in xs], color="black", lw=1.5)
    axes.axhline(best["cache"] / 2, color="black", ls="--", lw=1)
    axes.text(high, best["sgemm"] * 1.05, f"sgemm {best['sgemm']:.0f} GFLOP/s", ha="right", fontsize=7)
    says = f"a load per product, L2 cache {best['cache']:.0f} GB/s"
    axes.text(low, best["cache"] / 2 * 1.03, says, fontsize=7)
    axes.text(low * 1.1, low * best["read"] * 1.5, f"memory read {best['read']:.0f} GB/s", fontsize=7)


def stage_table(cells: list[dict[str, Any]], best: dict[str, float]) -> str:
    """Milliseconds and shares of the ceilings, one thread, in Markdown."""
    lines = ["| network | where | ms | of the call | GFLOP/s | of sgemm | of memory read | of cache loads |"]
    lines.append("| --- " * 8 + "|")
    for cell in cells:
        parts = [part for part in cell["variants"]["as it is"] if part["macs"]]
        whole = sum(part["seconds"] for part in cell["variants"]["as it is"])
        for part in parts:
            rate = 2 * part["macs"] / part["seconds"] / 1e9
            moved = part["bytes"] / part["seconds"] / 1e9 / best["read"]
            loads = f"{2 * rate / best['cache']:.0%}" if part["kind"] == "messages" else "–"
            where = (
                NAMES[part["kind"]] if part["stage"] == "stem" else f"{part['stage']}, {NAMES[part['kind']]}"
            )
            texts = [cell["network"], where, f"{part['seconds'] * 1e3:.2f}", f"{part['seconds'] / whole:.0%}"]
            texts += [f"{rate:.1f}", f"{rate / best['sgemm']:.0%}", f"{moved:.0%}", loads]
            lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def plan_table(cells: list[dict[str, Any]]) -> str:
    """Milliseconds of the whole call and of all messages under other plans, one thread, in Markdown."""
    names = list(cells[0]["variants"])
    lines = ["| plan | " + " | ".join(f"{cell['network']}: call, messages" for cell in cells) + " |"]
    lines.append("| --- " * (len(cells) + 1) + "|")
    for name in names:
        texts = []
        for cell in cells:
            parts = cell["variants"][name]
            messages = sum(part["seconds"] for part in parts if part["kind"] == "messages")
            texts.append(f"{sum(part['seconds'] for part in parts) * 1e3:.2f}, {messages * 1e3:.2f}")
        lines.append(f"| {name} | " + " | ".join(texts) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="JSON that benchmarks/inference/engine_stages.py wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="figure to write")
    options = parser.parse_args()
    found = json.loads(options.results.read_text())["results"]
    cells = [cell for cell in found["cells"] if cell["threads"] == 1]
    best = found["ceilings"]["1"]
    draw(cells, best, options.output)
    print(stage_table(cells, best), plan_table(cells), sep="\n\n")


if __name__ == "__main__":
    main()
