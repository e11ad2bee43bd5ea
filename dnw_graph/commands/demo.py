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
from dnw_graph.errors import InputError

HELP = "train on scikit-learn's digits, evaluate, save and draw the wiring (about a minute)"

CONFIG = Path(__file__).parents[2] / "configs" / "digits" / "tiny_static_dnw.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        default="runs/demo",
        help="where everything goes (default: runs/demo); DIR-2, DIR-3, … where that is taken",
    )
    options.add_overrides(parser)


def run(args: argparse.Namespace) -> int:
    if not CONFIG.is_file():
        raise InputError(
            f"{CONFIG}: no such file; run the demo from a clone of the repository, which has configs/"
        )
    from dnw_graph.training import train
    from dnw_graph.training.config import load_config

    place = free_directory(Path(args.run_dir))
    summary = train(load_config(CONFIG, args.overrides), place)
    if summary.interrupted:
        return INTERRUPTED
    print()
    evaluate.show(evaluate.measure(str(place), "best", []))
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
    from dnw_graph.figures.layered import draw_layered
    from dnw_graph.interchange import save_graph
    from dnw_graph.interchange.extract import graph_of
    from dnw_graph.training import load_run

    wiring, picture = place / "wiring.npz", place / "wiring.png"
    _, model = load_run(place)
    graph = graph_of(model)
    save_graph(graph, wiring)
    draw_layered(graph, picture)
    print(f"run      {place}")
    print(f"wiring   {wiring}, {graph.num_nodes:,} nodes and {graph.num_edges:,} edges")
    print(f"picture  {picture}")
    print("\nthe wiring in Python:")
    print("    import numpy as np")
    print(f"    wiring = np.load({str(wiring)!r})")
    print('    print(wiring["edges.source"], wiring["edges.target"], wiring["edges.weight"])')
    print(f"\nthe training's curves: {_tensorboard()} --logdir {place}")


def _tensorboard() -> str:
    """The command, with its path where the shell would not find it."""
    beside = Path(sys.executable).with_name("tensorboard")
    if shutil.which("tensorboard") or not beside.exists():
        return "tensorboard"
    return os.path.relpath(beside)
