"""`dnw-graph export`: the wiring of a run, or its network, as a file that other programs open."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dnw_graph.commands import options
from dnw_graph.commands.export_network import PRECISIONS, SUFFIXES, export_network, network_format
from dnw_graph.errors import InputError
from dnw_graph.interchange.formats import BY_NAME, FORMATS, find_format

if TYPE_CHECKING:
    from rich.console import Console

    from dnw_graph.interchange.text import Report
    from dnw_graph.portable.graph import Graph

HELP = "write the network of a run (.dnw, ONNX), or its wiring (GraphML, GEXF, JSON, CSV, npz, DGL, DOT)"

EXAMPLES = """\
dnw-graph export runs/demo -o wiring.graphml
dnw-graph export runs/demo -o net.dnw --precision float16
dnw-graph export runs/demo -o net.onnx
dnw-graph export runs/demo --without-dead --threshold 0.1 -o strong.gexf
dnw-graph export runs/demo --format csv -o wiring.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run directory, a checkpoint in it, or hf://user/name")
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="file to write")
    parser.add_argument(
        "--format",
        choices=(*BY_NAME, *SUFFIXES.values()),
        help=f"format of the file (default: as its suffix says: {', '.join([*FORMATS, *SUFFIXES])}). dnw: "
        "the whole network, for dnw-runtime. onnx: the same for other engines, which run it densely: they "
        "multiply by missing edges too. html: a page for the browser, as `dnw-graph view` writes",
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, help="of the numbers in a .dnw file (default: float32)"
    )
    options.add_checkpoint(parser)
    parser.add_argument("--stage", type=int, metavar="N", help="only this stage, counted from 0")
    parser.add_argument(
        "--threshold", type=float, metavar="X", help="only edges with a weight of magnitude X or more"
    )
    parser.add_argument(
        "--without-dead",
        action="store_true",
        help="no dead nodes; constant ones stay, for they change the outputs",
    )
    parser.add_argument(
        "--strongest",
        type=int,
        metavar="N",
        help="only the N edges of largest magnitude, and the nodes at their ends (good for DOT)",
    )
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    path = Path(args.output)
    if (network := network_format(path, args.format)) is not None:
        return export_network(args, path, network)
    if args.precision is not None:
        raise InputError(f"--precision {args.precision}: is of .dnw files alone; leave it out")
    # A wrong name should not cost the time of loading a run.
    found = find_format(path, args.format)
    options.load_plugins(args)
    from dnw_graph.interchange import save_graph
    from dnw_graph.interchange.extract import graph_of
    from dnw_graph.portable.part import part_of
    from dnw_graph.runs.load import load_run

    model = load_run(args.run, checkpoint=args.checkpoint).model
    graph = part_of(
        graph_of(model),
        stage=args.stage,
        threshold=args.threshold,
        without_dead=args.without_dead,
        strongest=args.strongest,
    )
    with progress(graph, path) as report:
        save_graph(graph, path, found.name, report=report)
    print(f"{path}: {found.name}, {graph.num_nodes:,} nodes, {graph.num_edges:,} edges")
    return 0


@contextmanager
def progress(graph: Graph, path: Path) -> Iterator[Report]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    screen = console()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("nodes and edges"),
    )
    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as bar:
        task = bar.add_task(f"writing {path.name}", total=graph.num_nodes + graph.num_edges)
        yield lambda more: bar.advance(task, more)


def console() -> Console:
    """Where the bar goes: not into what a pipe reads."""
    from rich.console import Console

    return Console(stderr=True)
