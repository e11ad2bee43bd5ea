"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

# A path such as runs/lr=0.1 has a slash before the sign.
_OVERRIDE = re.compile(r"[^-/=][^/=]*=")

if TYPE_CHECKING:
    from dnw_graph.config import Config


def add_config(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """--config FILE"""
    parser.add_argument("--config", metavar="FILE", required=required, help="configuration, see configs/")


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """--set section.key=value …, may be repeated; needs `one_override_each`"""
    parser.add_argument(
        "--set",
        dest="overrides",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="change the configuration, for example optimizer.lr=0.05; null restores a default; "
        "several may follow one --set",
    )


def one_override_each(argv: Sequence[str]) -> list[str]:
    """`--set a.b=1 c.d=2 RUN` → `--set a.b=1 --set c.d=2 RUN`, so that a RUN behind is no override."""
    spread: list[str] = []
    follows = False
    for index, word in enumerate(argv):
        if word == "--":
            return [*spread, *argv[index:]]
        is_value = bool(spread) and spread[-1] == "--set"
        if follows and _OVERRIDE.match(word) and not is_value:
            spread.append("--set")
        elif not is_value:
            follows = word == "--set" or word.startswith("--set=")
        spread.append(word)
    return spread


def add_data_directory(parser: argparse.ArgumentParser) -> None:
    """--data-dir DIR, short for --set data.directory=DIR"""
    parser.add_argument(
        "--data-dir", dest="data_directory", metavar="DIR", help="where the images are (data.directory)"
    )


def add_checkpoint(parser: argparse.ArgumentParser) -> None:
    """--checkpoint best or last"""
    parser.add_argument(
        "--checkpoint",
        choices=("best", "last"),
        help="which one of a run (default: the best, if validation chose one, else the last)",
    )


def add_plugins(parser: argparse.ArgumentParser) -> None:
    """--plugin FILE, may be repeated"""
    parser.add_argument(
        "--plugin",
        dest="plugins",
        metavar="FILE",
        action="append",
        default=[],
        help="Python file with rules, networks, data sets, … of your own; it is executed",
    )


def load_plugins(args: argparse.Namespace) -> None:
    """Import the files of --plugin, in the order given."""
    if not args.plugins:
        return
    from dnw_graph.wiring.plugin import load_plugin

    for path in args.plugins:
        load_plugin(Path(path))


def overrides_of(args: argparse.Namespace) -> list[str]:
    """The overrides of --set and of --data-dir, which wins."""
    directory = getattr(args, "data_directory", None)
    # A JSON string is a YAML string: a directory called 7 stays a word.
    return args.overrides + ([f"data.directory={json.dumps(directory)}"] if directory is not None else [])


def read_config(args: argparse.Namespace) -> Config:
    """The configuration of --config with the overrides of --set and --data-dir.

    It may name what a plugin registers: `load_plugins` comes first.
    """
    from dnw_graph.config import load_config

    return load_config(args.config, overrides_of(args))
