"""`dnw-graph view`: the wiring of a run as a page in the browser."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from pathlib import Path

from dnw_graph.commands import options
from dnw_graph.errors import InputError
from dnw_graph.interchange.formats import READABLE

HELP = "open the wiring of a run in the browser: one HTML file that needs no network"

EXAMPLES = """\
dnw-graph view runs/demo
dnw-graph view runs/demo -o page.html --no-open
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run",
        metavar="RUN",
        help=f"run directory, a checkpoint in it, or an exported wiring ({', '.join(READABLE)})",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="page to write (default: RUN's name with .html, here)",
    )
    parser.add_argument("--no-open", action="store_true", help="write the page only")
    options.add_checkpoint(parser)
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    path = Path(args.output or f"{_stem(Path(args.run))}.html")
    _check_place(path)
    options.load_plugins(args)
    from dnw_graph.view import write_page

    about = write_page(path, args.run, args.checkpoint).about
    without = f"; no images in it: {about['noSteps']}" if about["noSteps"] else ""
    size = path.stat().st_size / 1e6
    print(f"{path}: {about['nodes']:,} nodes, {about['edges']:,} edges, {size:.1f} MB{without}")
    if not args.no_open and not _open(path):
        print("no browser was found here; open the file in one")
    return 0


def _stem(run: Path) -> str:
    """Name of the run, also where a checkpoint in it or a file is given."""
    path = run.resolve()
    if path.is_file():
        return path.stem
    return path.parents[1].name if path.parent.name == "checkpoints" else path.name


def _check_place(path: Path) -> None:
    """Before the run is loaded."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: the page is HTML; give a name that ends in .html")
    if not path.parent.is_dir():
        raise InputError(f"{path}: there is no directory {path.parent}; make it, or choose another place")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot be written; choose another place")


def _open(path: Path) -> bool:
    """Whether a browser took the page. One in the terminal would not show it."""
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return webbrowser.open(path.resolve().as_uri())
