"""The figure and the tables of docs/training_speed.md, from what `python -m benchmarks.training` wrote.

    python -m benchmarks.plots.training benchmarks/results/training-DATE.json -o docs/figures
        [--page docs/training_speed.md]

Writes training_speed.png: where a step's time goes, original beside ours, and each part of our step beside
the least time that its work needs. Prints the tables, or puts them into the page between its two comments.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by the colour-blind; hatches tell them apart in grey.
STYLES = {
    "forward": ("#0072B2", ""),
    "backward": ("#D55E00", "//"),
    "optimiser": ("#009E73", ".."),
    "selection": ("#CC79A7", "xx"),
}
BEGIN, END = "<!-- measured -->", "<!-- end of measured -->"
Cells = list[tuple[dict[str, Any], str, dict[str, Any]]]


def cells(results: dict[str, Any]) -> Cells:
    """(network, number of threads, what was measured with it), in the order of the file."""
    return [
        (each, threads, cell) for each in results["networks"] for threads, cell in each["threads"].items()
    ]


def draw(found: Cells, path: Path) -> None:
    """One column per network and number of threads: contenders above, parts of our step below."""
    figure = Figure(figsize=(4.3 * len(found), 7.2), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(2, len(found), squeeze=False)
    for column, (network, threads, cell) in enumerate(found):
        title = f"{network['network']}, batch {network['batch']}\n{threads} thread{'s' * (threads != '1')}"
        grid[0][column].set_title(title, fontsize=9)
        _contenders(grid[0][column], cell["contenders"])
        _parts(grid[1][column], cell.get("step_parts", []))
    shown = [*grid[0][0].get_legend_handles_labels()[0], *grid[1][0].get_legend_handles_labels()[0]]
    figure.legend(handles=shown, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def _contenders(axes: Axes, found: dict[str, Any]) -> None:
    bottoms = [0.0] * len(found)
    for part, (colour, hatch) in STYLES.items():
        heights = [each["parts"][part] for each in found.values()]
        bars: dict[str, Any] = {"color": colour, "hatch": hatch, "edgecolor": "white", "linewidth": 0.3}
        axes.bar(range(len(found)), heights, bottom=bottoms, label=part, **bars)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    for place, (each, top) in enumerate(zip(found.values(), bottoms, strict=True)):
        axes.annotate(f"{each['median']:.2f} s", (place, top), ha="center", va="bottom", fontsize=7)
    axes.set_xticks(range(len(found)), list(found), fontsize=8)
    axes.set_ylabel("seconds per step")
    axes.margins(y=0.1)
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)


def _parts(axes: Axes, found: list[dict[str, Any]]) -> None:
    names = [each["part"] for each in found]
    milliseconds = [1e3 * each["seconds"] for each in found]
    least = [1e3 * each["least"] for each in found]
    axes.barh(range(len(names)), milliseconds, color="#56B4E9", edgecolor="white", label="measured")
    axes.barh(range(len(names)), least, height=0.35, color="black", label="least, by count and ceilings")
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.invert_yaxis()
    axes.set_xlabel("ms of a step of ours")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)


def speed_table(found: Cells) -> str:
    """Images per second, times the original, memory and distance of the losses, in Markdown."""
    lines = ["| network | threads | contender | s per step | images/s | times the original |"]
    lines[0] += " peak memory, MiB | of the original's | losses away from `dense` |"
    lines.append("| --- " * 9 + "|")
    for network, threads, cell in found:
        first = cell["contenders"].get("original")
        for name, each in cell["contenders"].items():
            own, original = (_own(network["memory"], who) for who in (name, "original"))
            texts = [network["network"], threads, name, f"{each['median']:.3f}"]
            texts += [f"{network['batch'] / each['median']:.0f}"]
            texts += [f"{first['median'] / each['median']:.2f}" if first else "–", f"{own:.0f}"]
            texts += [f"{own / original:.2f}" if original else "–"]
            away = network["curves"]["from_dense"].get(name)
            texts += ["–" if away is None else f"{away:.0e}"]
            lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def _own(memory: dict[str, Any], name: str) -> float:
    """Peak resident memory without what the imports take, in MiB; 0 where it was not measured."""
    each = memory.get(name)
    return (each["peak"] - each["imports"]) / 2**20 if each else 0.0


def part_table(found: Cells) -> str:
    """Every part of a step of ours beside its work, in Markdown."""
    lines = [
        "| network | threads | part | ms | share | GFLOP | MB | least, ms | bound by |",
        "| --- " * 9 + "|",
    ]
    for network, threads, cell in found:
        for each in cell.get("step_parts", ()):
            texts = [network["network"], threads, each["part"], f"{1e3 * each['seconds']:.1f}"]
            texts += [f"{each['share']:.0%}", f"{each['flops'] / 1e9:.2f}", f"{each['bytes'] / 1e6:.0f}"]
            texts += [f"{1e3 * each['least']:.1f}", each["bound"]]
            lines.append("| " + " | ".join(texts) + " |")
    return "\n".join(lines)


def loading_table(results: dict[str, Any]) -> str:
    """Loading and augmenting beside a step, in Markdown."""
    lines = ["| data | batch | loading, ms | training, ms | share |", "| --- " * 5 + "|"]
    for each in results["loading"]:
        texts = [each["data"], str(each["batch"]), f"{1e3 * each['loader']:.2f}", f"{1e3 * each['step']:.1f}"]
        lines.append("| " + " | ".join([*texts, f"{each['share']:.1%}"]) + " |")
    return "\n".join(lines)


def text(results: dict[str, Any], machine: dict[str, Any]) -> str:
    """All tables with the figure and the machine, in Markdown."""
    found = cells(results)
    about = ", ".join(f"{key} {machine[key]}" for key in ("date", "processor", "cores", "python", "torch"))
    notes = [note for note in results["notes"] if "auto and dense" in note or "load average" in note]
    notes += [note for note in results["notes"] if "sgemm" in note or "left out" in note]
    return "\n\n".join(
        [
            f"Measured on: {about}.",
            speed_table(found),
            "![Where a training step's time goes](figures/training_speed.png)",
            "What a step of ours (`auto`) is made of:",
            part_table(found),
            "Loading and augmenting images:",
            loading_table(results),
            "\n".join(f"- {note}" for note in notes),
        ]
    )


def put(page: Path, tables: str) -> None:
    """Replace what stands between the page's two comments."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"{page}: has no {BEGIN} with {END} after it; add these two lines")
    page.write_text(f"{before}{begin}\n\n{tables}\n\n{end}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, help="JSON that benchmarks.training wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder for the figure")
    parser.add_argument("--page", type=Path, help="Markdown file to put the tables into")
    options = parser.parse_args()
    whole = json.loads(options.results.read_text())
    draw(cells(whole["results"]), options.output / "training_speed.png")
    tables = text(whole["results"], whole["machine"])
    if options.page is None:
        print(tables)
    else:
        put(options.page, tables)


if __name__ == "__main__":
    main()
