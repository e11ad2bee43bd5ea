"""`dnw-graph demo`: learn a wiring from scikit-learn's digits, and show what came out."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from itertools import count
from pathlib import Path

from dnw_graph.commands import evaluate, options
from dnw_graph.commands.main import INTERRUPTED
from dnw_graph.dependencies import missing_of

HELP = "train on scikit-learn's digits, evaluate, save and draw the wiring (about a minute)"

EXAMPLES = """\
dnw-graph demo
dnw-graph demo --run-dir runs/first --set training.epochs=4
"""

CONFIG = "digits/tiny_static_dnw"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        default="runs/demo",
        help="where everything goes (default: runs/demo); DIR-2, DIR-3, … where that is taken",
    )
    options.add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    from dnw_graph.config import load_config
    from dnw_graph.training import train

    place = free_directory(Path(args.run_dir))
    summary = train(load_config(CONFIG, args.overrides), place)
    if summary.interrupted:
        return INTERRUPTED
    print()
    evaluate.show(evaluate.measure(str(place), None, []))
    print()
    _export(place)
    return 0


def free_directory(wanted: Path) -> Path:
    """The directory itself, or the first of DIR-2, DIR-3, … that nothing is in."""
    for number in count(1):
        place = wanted if number == 1 else wanted.with_name(f"{wanted.name}-{number}")
        if not place.exists() or (place.is_dir() and not any(place.iterdir())):
            return place
    raise AssertionError("numbers do not end")


def _export(place: Path) -> None:
    """Write the wiring and its picture into the run directory, and say how to open everything."""
    from dnw_graph.figures.kinds import draw
    from dnw_graph.figures.subject import read_subject
    from dnw_graph.interchange import save_graph

    wiring, picture = place / "wiring.graphml", place / "wiring.png"
    subject = read_subject(place)
    save_graph(subject.graph, wiring)
    if (missing := missing_of("figures")) is None:
        draw("layered", picture, subject)
    print(f"run      {place}")
    print(f"wiring   {wiring}, {subject.graph.num_nodes:,} nodes and {subject.graph.num_edges:,} edges")
    if missing is None:
        print(
            f"picture  {picture}, its nodes level by level and its strongest edges; any image viewer opens it"
        )
    else:
        print(f"picture  none: {missing}")
    print("\nthe wiring opens in Gephi, Cytoscape and other programs for graphs, and in Python:")
    print("    import networkx as nx")
    print(f"    wiring = nx.read_graphml({str(wiring)!r})")
    print('    print(wiring, wiring.nodes["0"])')
    print("\nmore pictures and other formats:")
    print(f"    {_program('dnw-graph')} visualize {place} --kind adjacency -o {place / 'adjacency.png'}")
    print(f"    {_program('dnw-graph')} export {place} --format gexf -o {place / 'wiring.gexf'}")
    if missing_of("tensorboard") is not None:
        return
    print("\nthe training's curves, and its wiring after every epoch:")
    print(f"    {_program('tensorboard')} --logdir {place}")


def _program(name: str) -> str:
    """The command, with its path where the shell would not find it."""
    beside = Path(sys.executable).with_name(name)
    if shutil.which(name) or not beside.exists():
        return name
    return os.path.relpath(beside)
