"""Options that several commands share, and what they mean."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dnw_graph.errors import InputError

# A path such as runs/lr=0.1 has a slash before the sign.
_OVERRIDE = re.compile(r"[^-/=][^/=]*=")

SHORTHANDS: dict[str, tuple[str, type[int] | type[float]]] = {
    "epochs": ("training.epochs", int),
    "lr": ("optimizer.lr", float),
    "batch-size": ("training.batch_size", int),
    "seed": ("training.seed", int),
}
"""Options that are short for a --set: the key, and the kind of its value."""

if TYPE_CHECKING:
    from dnw_graph.config import Config


def add_config(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """--config FILE"""
    parser.add_argument(
        "--config",
        metavar="FILE",
        required=required,
        help="configuration: a file, or a name that dnw-graph configs lists",
    )


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


def add_shorthands(parser: argparse.ArgumentParser) -> None:
    """--epochs, --lr, --batch-size and --seed, each short for a --set"""
    for option, (key, kind) in SHORTHANDS.items():
        parser.add_argument(
            f"--{option}",
            dest=key,
            type=kind,
            metavar="N" if kind is int else "X",
            help=f"short for --set {key}=…",
        )


def overrides_of(args: argparse.Namespace) -> list[str]:
    """The overrides of --set, of its shorthands, and of --data-dir, which wins.

    Raises InputError for a shorthand and a --set that say different things.
    """
    overrides = list(args.overrides)
    for option, (key, _) in SHORTHANDS.items():
        value = getattr(args, key, None)
        if value is None:
            continue
        for override in args.overrides:
            name, _, text = override.partition("=")
            if name.strip() == key and not _says(text, value):
                raise InputError(
                    f"--{option} {value:g} and --set {override} say different things; give one of them"
                )
        overrides.append(f"{key}={value!r}")
    directory = getattr(args, "data_directory", None)
    # A JSON string is a YAML string: a directory called 7 stays a word.
    return overrides + ([f"data.directory={json.dumps(directory)}"] if directory is not None else [])


def _says(text: str, value: float) -> bool:
    """Whether the text of an override stands for this number."""
    try:
        return float(text) == value
    except ValueError:
        return False


def read_config(args: argparse.Namespace) -> Config:
    """The configuration of --config with the overrides of --set and --data-dir.

    It may name what a plugin registers: `load_plugins` comes first.
    """
    from dnw_graph.config import load_config

    return load_config(args.config, overrides_of(args))
