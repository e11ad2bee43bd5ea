"""`dnw-graph visualize`: figures of a learned wiring."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from dnw_graph.commands import options
from dnw_graph.errors import InputError
from dnw_graph.figures.kinds import KINDS, check_request, draw
from dnw_graph.interchange.formats import READABLE

HELP = "draw the wiring of a run: layers, adjacency, degrees, turnover and more"

EXAMPLES = """\
dnw-graph visualize runs/demo --kind layered -o wiring.png
dnw-graph visualize runs/demo --kind film -o wiring.gif
dnw-graph visualize runs/demo --kind compare --with runs/random -o compare.svg
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    width = max(map(len, KINDS))
    parser.epilog = "kinds:\n" + "\n".join(
        f"  {name:{width}}  {kind.summary}" for name, kind in KINDS.items()
    )
    parser.add_argument(
        "run",
        metavar="RUN",
        help="run directory, a checkpoint in it, hf://user/name, or an exported wiring "
        f"({', '.join(READABLE)})",
    )
    parser.add_argument("--kind", metavar="KIND", required=True, help="what to draw, see below")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="where to; .png, .svg or .pdf says the format (.gif for a film)",
    )
    parser.add_argument("--stage", metavar="N", type=int, help="this stage alone (default: all)")
    parser.add_argument("--with", dest="other", metavar="RUN", help="the second wiring of --kind compare")
    options.add_checkpoint(parser)
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    output = Path(args.output)
    check_request(args.kind, output, other=args.other is not None)
    _check_place(output)
    options.load_plugins(args)
    from dnw_graph.commands.terminal import waiting
    from dnw_graph.figures.subject import read_subject

    with waiting("reading") as tell:
        subjects = []
        for path in (args.run, args.other):
            if path is not None:
                tell(f"reading {path}")
                subjects.append(read_subject(path, args.checkpoint).of_stage(args.stage))
        tell(f"drawing {args.kind}")
        draw(args.kind, output, *subjects, tell=tell)
    subject = subjects[0]
    title = subject.titled(subject.span) if KINDS[args.kind].past else subject.title
    print(f"{output}: {args.kind}, {title}")
    return 0


def _check_place(output: Path) -> None:
    """Before the run is loaded."""
    if not output.parent.is_dir():
        raise InputError(f"{output}: there is no directory {output.parent}; make it, or choose another place")
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        raise InputError(f"{output}: cannot be written; choose another place")
