"""Wirings side by side, level by level: the picture at the top of README.md.

    dnw-graph demo
    python -m benchmarks.plots.wirings -o docs/figures/learned_and_random.png \\
        "random wiring=runs/demo-random" "learned wiring=runs/demo"

Each argument is TITLE=RUN; the title is shown with the accuracy of the checkpoint that counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from dnw_graph.commands.evaluate import measure
from dnw_graph.figures import style
from dnw_graph.figures.layered import draw_layers
from dnw_graph.figures.picture import picture_bytes
from dnw_graph.figures.subject import read_subject
from dnw_graph.graph.status import edge_is_live

WIDTH, HEIGHT, DPI = 12.0, 4.9, 110


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", metavar="TITLE=RUN", nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    with style.drawing():
        figure = style.new_figure(HEIGHT, "", "", width=WIDTH, dpi=DPI)
        figure.suptitle("")
        panels = figure.subplots(1, len(args.runs), squeeze=False)[0]
        for axes, (title, run) in zip(panels, (each.split("=", 1) for each in args.runs), strict=True):
            draw(axes, title, run)
        figure.legend(handles=legend(), loc="outside lower center", ncols=5)
        args.output.write_bytes(picture_bytes(figure, args.output.suffix))


def draw(axes: Axes, title: str, run: str) -> None:
    subject = read_subject(run)
    draw_layers(axes, subject)
    levels = subject.levels
    names = ["image", *(f"level {level.index}" for level in levels[1:-1]), "classifier"]
    axes.set_xticks(range(len(levels)), names, fontsize=style.SMALL)
    for text in axes.texts:
        text.set_visible(False)
    wiring, score = subject.wiring, measure(run, None, [])
    used = edge_is_live(wiring.status, wiring.source, wiring.target).sum()
    edges = f"{used:,} of its {wiring.num_edges:,} edges lead from image to class"
    axes.set_title(f"{title}: {score['top1']:.1%} correct\n{edges}")


def legend() -> list[Line2D]:
    texts = {"live": "node in use", "constant": "node that sees no image", "dead": "node that leads nowhere"}
    nodes = [
        Line2D([], [], color=colour, marker=marker, linestyle="none", label=texts[name])
        for name, (colour, marker) in style.NODE_STYLES.items()
    ]
    edges = [
        Line2D([], [], color=colour, linestyle=dashes, label=f"{sign} weight")
        for sign, (colour, dashes) in style.SIGN_STYLES.items()
    ]
    return nodes + edges


if __name__ == "__main__":
    main()
