"""`dnw-graph demo`: learn a wiring on scikit-learn's digits, train a random one too, and compare them."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from dnw_graph.commands import evaluate, options
from dnw_graph.commands.main import INTERRUPTED
from dnw_graph.commands.terminal import console, waiting
from dnw_graph.dependencies import missing_of

if TYPE_CHECKING:
    from rich.table import Table

    from dnw_graph.figures.subject import Subject

HELP = "learn a wiring on scikit-learn's digits, compare it with a random one, and draw it (about a minute)"

EXAMPLES = """\
dnw-graph demo
dnw-graph demo --run-dir runs/first --set training.epochs=4
"""

CONFIG = "digits/tiny_static_dnw"
EDGES = 2000
"""So few that it matters which ones: with the 32,000 of the configuration, chance does nearly as well."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        default="runs/demo",
        help="where everything goes (default: runs/demo); DIR-2, DIR-3, … if that is taken",
    )
    options.add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    from dnw_graph.config import load_config
    from dnw_graph.training import train

    learned = free_directory(Path(args.run_dir))
    random = free_directory(learned.with_name(f"{learned.name}-random"))
    overrides = [f"model.edges={EDGES}", *args.overrides]
    for place, more in ((learned, []), (random, ["model.rule=random"])):
        if train(load_config(CONFIG, [*overrides, *more]), place).interrupted:
            return INTERRUPTED
        print()
    with waiting("evaluating both") as tell:
        table = compared({"learned": learned, "random": random})
        tell("drawing the wiring")
        subject, missing = _export(learned)
    console().print(table)
    _tell(learned, random, subject, missing)
    return 0


def free_directory(wanted: Path) -> Path:
    """The directory itself, or the first of DIR-2, DIR-3, … that nothing is in."""
    for number in count(1):
        place = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not place.exists() or (place.is_dir() and not any(place.iterdir())):
            return place
    raise AssertionError("numbers do not end")


def compared(runs: dict[str, Path]) -> Table:
    """A line for each run: what its wiring has, costs and scores."""
    from rich import box
    from rich.table import Table

    from dnw_graph.analysis.source import wiring_of
    from dnw_graph.graph.status import edge_is_live

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("wiring", "edges", "of these in use", "MACs per image", "test accuracy"):
        table.add_column(name, justify="left" if name == "wiring" else "right")
    for name, place in runs.items():
        wiring, score = wiring_of(place), evaluate.measure(str(place), None, [])
        used = edge_is_live(wiring.status, wiring.source, wiring.target).sum()
        table.add_row(
            name, f"{wiring.num_edges:,}", f"{used:,}", f"{score['macs']:,}", f"{score['top1']:.1%}"
        )
    return table


def _export(place: Path) -> tuple[Subject, str | None]:
    """Write the wiring and its picture into the run directory; what is drawn, and why there is no picture."""
    from dnw_graph.figures.kinds import draw
    from dnw_graph.figures.subject import read_subject
    from dnw_graph.interchange import save_graph

    subject = read_subject(place)
    save_graph(subject.graph, place / "wiring.graphml")
    if (missing := missing_of("figures")) is None:
        draw("layered", place / "wiring.png", subject)
    return subject, missing


def _tell(learned: Path, random: Path, subject: Subject, missing: str | None) -> None:
    """What the table means, and how to open everything."""
    wiring, graph = learned / "wiring.graphml", subject.graph
    print(
        "An edge is in use if a path from the image to the classifier leads through it. One seed and a small"
    )
    print("test set: read differences of a point or two as noise.")
    print(f"\nruns     {learned} and {random}")
    print(f"wiring   {wiring}, {graph.num_nodes:,} nodes and {graph.num_edges:,} edges")
    print(f"picture  {learned / 'wiring.png' if missing is None else f'none: {missing}'}")
    print("\nThe wiring opens in Gephi, Cytoscape and other programs for graphs, and in Python:")
    print("    import networkx as nx")
    print(f"    wiring = nx.read_graphml({str(wiring)!r})")
    print('    print(wiring, wiring.nodes["0"])')
    print("\nMore numbers, more pictures and other formats:")
    print(f"    {_program('dnw-graph')} analyze {learned} {random}")
    print(f"    {_program('dnw-graph')} visualize {learned} --kind adjacency -o {learned / 'adjacency.png'}")
    print(f"    {_program('dnw-graph')} export {learned} --format gexf -o {learned / 'wiring.gexf'}")
    if missing_of("tensorboard") is not None:
        return
    print("\nThe curves of both trainings, and the wiring after every epoch:")
    print(f"    {_program('tensorboard')} --logdir {learned.parent}")


def _program(name: str) -> str:
    """The command, with its path where the shell would not find it."""
    beside = Path(sys.executable).with_name(name)
    if shutil.which(name) or not beside.exists():
        return name
    return os.path.relpath(beside)
