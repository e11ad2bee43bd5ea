"""`python -m dnw_runtime`: what C programs need."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dnw_graph.errors import InputError
from dnw_graph.native import library
from dnw_graph.runtime.network import Network
from dnw_graph.runtime.plan_file import plan_file


def main(argv: list[str] | None = None) -> int:
    """0, or 2 after one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="python -m dnw_runtime", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    plan = commands.add_parser("plan", help="write a .dnw file's network as a plan file for C")
    plan.add_argument("network", help="a .dnw file")
    plan.add_argument("-o", "--output", metavar="FILE", required=True)
    plan.add_argument(
        "--size",
        type=int,
        nargs=2,
        metavar=("HEIGHT", "WIDTH"),
        help="of images (default: its own)",
    )
    commands.add_parser("include", help="print the folder of dnw.h")
    commands.add_parser("library", help="print the path of the library")
    args = parser.parse_args(argv)
    try:
        if args.command == "plan":
            data = plan_file(Network(args.network), *(args.size or ()))
            Path(args.output).write_bytes(data)
            print(f"{args.output}: {len(data):,} bytes")
        else:
            path = Path(library.path())
            print(path.with_name("source") if args.command == "include" else path)
    except (InputError, OSError) as error:
        said = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) else error
        print(f"dnw_runtime: error: {said}.", file=sys.stderr)
        return 2
    return 0
