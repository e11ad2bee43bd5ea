"""`dnw-graph analyze`: what a wiring is as a graph, compared with random graphs of equal budget."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Literal

from dnw_graph.commands import options
from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from dnw_graph.analysis.tables import Table

HELP = "measure wirings as graphs (paths, degrees, hubs, turnover …), compared with random graphs"

EXAMPLES = """\
dnw-graph analyze runs/demo
dnw-graph analyze runs/demo runs/random -o wirings.csv
dnw-graph analyze runs/demo --measure hubs --draws 0
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="run directory, checkpoint in it, hf://user/name, or exported wiring",
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
        help="the table of this one; may be repeated (default: a summary)",
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="after the summary, the tables of all measures (more than a hundred lines)",
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
    from dnw_graph.analysis.random_wirings import RandomGraphs
    from dnw_graph.analysis.report import analyze
    from dnw_graph.analysis.summary import measures_for, overlap_sentences, summary_of
    from dnw_graph.analysis.tables import heading_of, tables_of
    from dnw_graph.analysis.write import check_suffix, write_report
    from dnw_graph.commands.terminal import console, waiting

    if args.output is not None:
        check_suffix(args.output)
    random = RandomGraphs(args.draws, args.seed, args.keep)
    if args.all and args.measures:
        raise InputError(
            "--all prints the tables of all measures, and --measure those that it names; use one"
        )
    in_short = not (args.all or args.measures)
    with waiting("reading") as tell:
        report = analyze(
            args.runs,
            checkpoint=args.checkpoint,
            random=random,
            # A file has all numbers. Without it, the summary leaves out what takes long.
            measures=measures_for(len(args.runs)) if in_short and args.output is None else args.measures,
            strict=not in_short,
            tell=tell,
        )
    if args.output is not None:
        write_report(report, args.output)
    screen = console()
    for line in [*heading_of(report), ""]:
        screen.print(line, soft_wrap=True)
    if not args.measures:
        _show(screen, summary_of(report))
        for line in overlap_sentences(report):
            screen.print(line, soft_wrap=True)
    if in_short:
        screen.print("All tables: add --all. All numbers, in a file: add -o FILE.csv.", soft_wrap=True)
    else:
        for table in tables_of(report):
            _show(screen, table)
    for note in report.notes:
        screen.print(note, soft_wrap=True)
    return 0


def _show(screen: Console, table: Table) -> None:
    """On stdout, as wide as it needs."""
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    words = 2 if table.columns[1] == "" else 1
    for number, name in enumerate(table.columns):
        side: Literal["left", "right"] = "left" if number < words else "right"
        shown.add_column(name.replace(" ", "\n", 1), justify=side, no_wrap=True)
    for line in table.lines:
        shown.add_row(*line.cells, style="dim" if line.is_random else None)
    # Half a number is worse than a long line.
    needed = screen.measure(shown, options=screen.options.update(width=1000)).maximum
    screen.width = max(screen.width, needed)
    screen.print(table.title, style="bold", soft_wrap=True)
    screen.print(shown)
