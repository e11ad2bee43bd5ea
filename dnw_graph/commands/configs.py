"""`dnw-graph configs`: the configurations that come with the package."""

from __future__ import annotations

import argparse

HELP = "list the configurations that `train --config NAME` knows"

EXAMPLES = """\
dnw-graph configs
dnw-graph train --config digits/tiny_static_dnw
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = f"{HELP}; a name works wherever the path of a file does"


def run(args: argparse.Namespace) -> int:
    from dnw_graph.config.packaged import listed

    configs = listed()
    width = max(map(len, configs), default=0)
    for name, line in configs.items():
        print(f"{name:{width}}  {line}")
    return 0
