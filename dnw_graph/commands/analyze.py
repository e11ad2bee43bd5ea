"""`dnw-graph analyze`: what a wiring is as a graph, beside random graphs of equal budget."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from dnw_graph.commands import options

if TYPE_CHECKING:
    from dnw_graph.analysis.tables import Table

HELP = "degrees, paths, densities, hubs, turnover … of wirings, beside random graphs"

EXAMPLES = """\
dnw-graph analyze runs/demo
dnw-graph analyze runs/demo runs/random -o wirings.csv
dnw-graph analyze runs/demo --measure hubs --draws 0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="+", help="run directory, checkpoint in it, or exported wiring"
    )
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="also write all numbers to FILE, .csv or .json"
    )
    options.add_checkpoint(parser)
    parser.add_argument(
        "--measure",
        dest="measures",
        metavar="NAME",
        action="append",
        default=[],
        help="this one only; may be repeated (default: all)",
    )
    parser.add_argument(
        "--draws", type=int, default=10, metavar="N", help="random graphs of equal budget (default: 10)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the random graphs (default: 0)")
    parser.add_argument(
        "--keep",
        choices=("stages", "pairs"),
        default="stages",
        help="they have as many edges in each stage (default), or from each level to each level",
    )
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    options.load_plugins(args)
    from rich.console import Console

    from dnw_graph.analysis.random_wirings import RandomGraphs
    from dnw_graph.analysis.report import analyze
    from dnw_graph.analysis.tables import heading_of, tables_of
    from dnw_graph.analysis.write import check_suffix, write_report

    if args.output is not None:
        check_suffix(args.output)
    random = RandomGraphs(args.draws, args.seed, args.keep)
    # On a terminal only: it moves.
    with Console(stderr=True).status("reading") as status:
        report = analyze(
            args.runs,
            checkpoint=args.checkpoint,
            random=random,
            measures=args.measures,
            tell=status.update,
        )
    if args.output is not None:
        write_report(report, args.output)
    _show(heading_of(report), tables_of(report), report.notes)
    return 0


def _show(heading: Sequence[str], tables: Sequence[Table], notes: Sequence[str]) -> None:
    """Tables on stdout, as wide as they need."""
    from rich import box
    from rich.table import Table as RichTable

    from dnw_graph.commands.terminal import console

    screen = console()
    for text in [*heading, ""]:
        screen.print(text, soft_wrap=True)
    for each in tables:
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for number, name in enumerate(each.columns):
            side: Literal["left", "right"] = "left" if number < 2 else "right"
            table.add_column(name.replace(" ", "\n", 1), justify=side, no_wrap=True)
        for line in each.lines:
            table.add_row(*line.cells, style="dim" if line.is_random else None)
        # Half a number is worse than a long line.
        needed = screen.measure(table, options=screen.options.update(width=1000)).maximum
        screen.width = max(screen.width, needed)
        screen.print(each.title, style="bold", soft_wrap=True)
        screen.print(table)
    for note in notes:
        screen.print(note, soft_wrap=True)
