"""The figures and the short table of docs/performance.md, from what `python -m benchmarks.inference` wrote.

    python -m benchmarks.plots.inference benchmarks/results/inference-DATE.json [more.json] -o docs/figures

Writes inference.png (bars) and roofline.png (message passing per stage, of the first file's first network),
and prints the tables.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by the colour-blind; hatches and markers tell them apart in grey.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#999999"]
HATCHES = ["", "//", "..", "xx", "\\\\", "--", "++", "oo"]
MARKERS = "os^Dv"
DENSE = ("MobileNetV1 ×0.25", "ShuffleNetV2 ×0.5")
Cells = list[dict[str, Any]]


def draw_bars(cells: Cells, path: Path) -> None:
    """Milliseconds per image of every engine, one panel per threads and batch."""
    panels = sorted({(each["batch"], each["threads"]) for each in cells})
    networks = list(dict.fromkeys(each["network"] for each in cells))
    names = [name for name in _engines(cells) if name not in DENSE]
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    figure = Figure(figsize=(5.2 * across, 3.1 * down + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(down, across, squeeze=False, sharey=True).ravel()
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    for axes, (batch, threads) in zip(grid, panels, strict=False):
        here = {e["network"]: e["engines"] for e in cells if (e["batch"], e["threads"]) == (batch, threads)}
        width = 0.85 / len(names)
        for place, name in enumerate(names):
            heights = [1e3 * here.get(n, {}).get(name, {}).get("median", 0) for n in networks]
            left = [x + (place - (len(names) - 1) / 2) * width for x in range(len(networks))]
            style = {"color": COLOURS[place], "hatch": HATCHES[place], "edgecolor": "white", "linewidth": 0.3}
            bars = axes.bar(left, heights, width, label=name, **style)
            texts = [f"{h:.1f}" if h < 10 else f"{h:.0f}" if h else "" for h in heights]
            axes.bar_label(bars, texts, fontsize=6, rotation=90, padding=2)
        _mark_dense(axes, here)
        axes.set(
            yscale="log", title=f"batch {batch}, {threads} thread{'s' * (threads > 1)}", ylabel="ms per image"
        )
        axes.set_xticks(range(len(networks)), networks)
        axes.margins(y=0.2)
        axes.grid(axis="y", alpha=0.3)
        axes.set_axisbelow(True)
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _mark_dense(axes: Axes, here: dict[str, Any]) -> None:
    """Lines at the dense networks' times: the mean over the networks they were timed beside."""
    for name, style in zip(DENSE, ("--", ":"), strict=True):
        times = [1e3 * engines[name]["median"] for engines in here.values() if name in engines]
        if times:
            label = f"dense {name}, ONNX Runtime"
            axes.axhline(sum(times) / len(times), color="black", ls=style, lw=1, label=label)


def draw_roofline(results: dict[str, Any], network: str, path: Path) -> None:
    """GFLOP/s of native and DGL message passing per stage, below what memory and sgemm allow."""
    stages = [each for each in results["stages"] if each["network"] == network]
    counts = sorted({each["threads"] for each in stages})
    figure = Figure(figsize=(5.2 * len(counts), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(1, len(counts), squeeze=False, sharey=True).ravel()
    for axes, threads in zip(grid, counts, strict=True):
        best = results["ceilings"][str(threads)]
        here = [each for each in stages if each["threads"] == threads]
        intensity = [each["flops"] / each["bytes"] for each in here]
        ends = [min(intensity) / 2, max(intensity) * 4]
        knee = best["sgemm"] / best["read"]
        xs = sorted({*ends, *([knee] if ends[0] < knee < ends[1] else [])})
        axes.plot(xs, [min(best["sgemm"], x * best["read"]) for x in xs], color="black", lw=1.5)
        axes.axhline(best["cache"] / 2, color="black", ls="--", lw=1)
        _says(axes, ends[1], best["sgemm"], f"sgemm {best['sgemm']:.0f} GFLOP/s")
        _says(axes, ends[1], best["cache"] / 2, f"one load per product, cache {best['cache']:.0f} GB/s")
        for number, (each, x) in enumerate(zip(here, intensity, strict=True)):
            for backend, colour in (("native", COLOURS[0]), ("dgl", COLOURS[1])):
                if backend in each["seconds"]:
                    y = each["flops"] / each["seconds"][backend] / 1e9
                    axes.plot(x, y, MARKERS[number % 5], color=colour, ms=7)
        title = f"{network}, batch {here[0]['batch']}, {threads} thread{'s' * (threads > 1)}"
        axes.set(xscale="log", yscale="log", xlabel="FLOP per byte of features and edges", title=title)
        axes.set_xlim(ends)
        axes.grid(alpha=0.3, which="both")
        axes.set_title(f"memory read {best['read']:.0f} GB/s", loc="left", fontsize=7, y=-0.22)
    grid[0].set_ylabel("GFLOP/s")
    marks = [
        grid[0].plot([], [], MARKERS[n % 5], color="grey", label=f"{each['stage']}, {each['side']}²")[0]
        for n, each in enumerate(e for e in stages if e["threads"] == counts[0])
    ]
    marks += [
        grid[0].plot([], [], "s", color=colour, label=name)[0]
        for name, colour in (("native", COLOURS[0]), ("dgl", COLOURS[1]))
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=7, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _says(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x * 0.9, y * 1.06, text, ha="right", fontsize=7)


def table(cells: Cells) -> str:
    """Milliseconds per image, one row per cell; the dense networks last."""
    names = _engines(cells)
    shown = [f"*{name}*" if name in DENSE else name for name in names]
    lines = ["| network | threads | batch | " + " | ".join(shown) + " |", "| --- " * (len(names) + 3) + "|"]
    for each in cells:
        times = [each["engines"].get(name, {}).get("median") for name in names]
        texts = ["–" if t is None else f"{1e3 * t:.2f}" if t < 0.01 else f"{1e3 * t:.1f}" for t in times]
        lines.append(
            f"| {each['network']} | {each['threads']} | {each['batch']} | " + " | ".join(texts) + " |"
        )
    return "\n".join(lines)


def bounds(cells: Cells) -> str:
    """How many times faster than the next engine `native` is, and its cost per MAC, in Markdown."""
    lines = ["| network | threads | batch | next engine | times faster | cost per MAC / MobileNetV1 ×0.25 |"]
    lines.append("| --- " * 6 + "|")
    for each in cells:
        found = dict(each["engines"])
        native, dense = found.pop("native"), found.get(DENSE[0])
        others = {name: values for name, values in found.items() if name not in DENSE}
        name = min(others, key=lambda engine: others[engine]["median"])
        cost = native["median"] / native["macs"] / dense["median"] * dense["macs"] if dense else None
        texts = [each["network"], str(each["threads"]), str(each["batch"]), name]
        texts += [f"{others[name]['median'] / native['median']:.2f}", f"{cost:.2f}" if cost else "–"]
        lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def stage_table(runs: list[dict[str, Any]]) -> str:
    """Message passing at batch 1: rates, and shares of the ceilings measured in the same run."""
    lines = ["| network | threads | stage | native, GFLOP/s | dgl / native | of sgemm | of memory read |"]
    lines.append("| --- " * 7 + "|")
    for run in runs:
        for each in run["stages"]:
            best, seconds = run["ceilings"][str(each["threads"])], each["seconds"]
            if each["batch"] > 1 or not {"native", "dgl"} <= seconds.keys():
                continue
            rate, traffic = (each[kind] / seconds["native"] / 1e9 for kind in ("flops", "bytes"))
            texts = [each["network"], str(each["threads"]), f"{each['stage']}, {each['side']}²"]
            texts += [f"{rate:.1f}", f"{seconds['dgl'] / seconds['native']:.1f}"]
            texts += [f"{rate / best['sgemm']:.0%}", f"{traffic / best['read']:.0%}"]
            lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _engines(cells: Cells) -> list[str]:
    """Every engine of any cell; the dense networks last."""
    names = dict.fromkeys(name for each in cells for name in each["engines"])
    return sorted(names, key=lambda name: name in DENSE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="+", help="JSON that benchmarks.inference wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the figures")
    options = parser.parse_args()
    runs = [json.loads(file.read_text())["results"] for file in options.results]
    cells = [each for run in runs for each in run["cells"]]
    cells.sort(key=lambda each: (each["batch"], each["threads"]))
    draw_bars(cells, options.output / "inference.png")
    draw_roofline(runs[0], runs[0]["stages"][0]["network"], options.output / "roofline.png")
    print(table(cells), bounds(cells), stage_table(runs), sep="\n\n")


if __name__ == "__main__":
    main()
