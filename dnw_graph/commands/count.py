"""`dnw-graph count`: parameters and MACs of configurations, of runs, and of the published networks."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from dnw_graph.commands import options
from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from dnw_graph.accounting.tables import Counted
    from dnw_graph.config import Config
    from dnw_graph.runs.run import Run

HELP = "count parameters and MACs of configurations, of runs, or of the published networks"

EXAMPLES = """\
dnw-graph count runs/demo
dnw-graph count --config digits/tiny_static_dnw imagenet/dnw_x0.225
dnw-graph count --published
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", metavar="RUN", nargs="*", help="run directory, checkpoint in it, or hf://user/name"
    )
    parser.add_argument(
        "--config",
        dest="configs",
        metavar="FILE",
        nargs="+",
        action="extend",
        default=[],
        help="configurations: their first wiring, and the bound of their budget",
    )
    parser.add_argument(
        "--published",
        action="store_true",
        help="the networks of the paper, compared with its numbers; with RUN also the count of that run",
    )
    parser.add_argument(
        "--removal",
        action="store_true",
        help="also what is left without dead and constant nodes, and by the 2019 program's rule",
    )
    parser.add_argument(
        "--micronet",
        action="store_true",
        help="also the score of the MicroNet challenge of 2019, with its parts (ImageNet, CIFAR-100)",
    )
    options.add_overrides(parser)
    options.add_plugins(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON instead of tables")
    form.add_argument("--markdown", action="store_true", help="print Markdown tables")


def run(args: argparse.Namespace) -> int:
    _check(args)
    options.load_plugins(args)
    from dnw_graph.accounting import tables

    if args.published:
        networks = list(_published(args.runs))
        made = [tables.published_table(networks)]
    else:
        asked = {"removing": args.removal, "scoring": args.micronet}
        networks = [_of_config(*named, **asked) for named in _configs(args)]
        networks += [_of_run(path, **asked) for path in args.runs]
        made = []
        for network in networks:
            made.append(tables.network_table(network))
            if network.left:
                made.append(tables.removal_table(network))
            made += tables.micronet_tables(network)
    if args.json:
        found = {"units": tables.UNITS, "networks": [each.as_dict() for each in networks]}
        print(json.dumps(found, indent=2))
    elif args.markdown:
        print("\n\n".join(tables.markdown(table) for table in made))
    else:
        _show(made)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.published and args.configs:
        raise InputError("--published takes no --config; leave one of the two out.")
    for option in ("removal", "micronet"):
        if args.published and getattr(args, option):
            raise InputError(f"--published has no room for --{option}; give it with a RUN or --config FILE.")
    if args.overrides and not args.configs:
        raise InputError("--set changes a configuration; give one with --config.")
    if not (args.published or args.configs or args.runs):
        raise InputError("nothing to count; give a RUN, --config FILE or --published.")


def _configs(args: argparse.Namespace) -> Iterator[tuple[str, Config]]:
    from dnw_graph.config import load_config

    for path in args.configs:
        yield Path(path).stem, load_config(path, args.overrides)


def _of_config(name: str, cfg: Config, **asked: bool) -> Counted:
    from dnw_graph.models import build_model, is_wired

    model = build_model(cfg)
    wiring = f"first wiring, seed {cfg.training.seed}" if is_wired(model) else "dense"
    return _counted(name, wiring, cfg, model, None, **asked)


def _of_run(path: str, **asked: bool) -> Counted:
    from dnw_graph.runs import load_run

    run = load_run(path)
    return _counted(path, f"run {path}", run.config, run.model, run, **asked)


def _counted(
    name: str,
    of: str,
    cfg: Config,
    model: nn.Module,
    run: Run | None,
    removing: bool = False,
    scoring: bool = False,
) -> Counted:
    from dnw_graph.accounting import after_removal, bound, count, paper
    from dnw_graph.accounting.micronet import Entry, micronet, task_of
    from dnw_graph.accounting.tables import Counted

    left = after_removal(model) if removing else {}
    entry = None
    if scoring:
        task = task_of(cfg.data.dataset)
        entry = Entry(micronet(model), task, None if run is None else _top1(run))
    return Counted(name, cfg.model, {of: count(model)}, bound(model), paper.find(cfg.model), left, entry)


def _top1(run: Run) -> float | None:
    """Of the checkpoint that is counted, on the images that judge it; None where it was never tested."""
    epoch = (run.state.get("position") or {}).get("epoch")
    if not epoch:
        return None
    scores = [each.get("test_top1", each.get("val_top1")) for each in run.metrics if each["epoch"] == epoch]
    return scores[-1] if scores else None


def _published(paths: list[str]) -> Iterator[Counted]:
    """The rows of the paper: bound, a drawn wiring where the rule draws, and runs of the same network."""
    from dnw_graph.accounting import paper

    runs = [_of_run(path) for path in paths]
    for each in runs:
        if each.paper not in paper.IMAGENET:
            raise InputError(f"{each.name}: is not in the published table; count it without --published.")
    for row in paper.IMAGENET:
        counted = _of_config(row.name, _published_config(row))
        if row.is_wired and row.model["rule"] != "random":
            # An untrained learned wiring says nothing about the published, trained one.
            counted.counts.clear()
        for each in runs:
            if each.paper == row:
                counted.counts.update(each.counts)
        yield counted


def _published_config(row: Any) -> Config:
    from dnw_graph.config import config_from_dict

    training = {"epochs": 250, "batch_size": 512}
    sections = {"model": row.model, "data": {"dataset": "imagenet"}, "training": training}
    return config_from_dict(sections, where=row.name)


def _show(made: list[Any]) -> None:
    """Tables on stdout, as wide as they need."""
    from rich import box
    from rich.table import Table

    from dnw_graph.commands.terminal import console

    screen = console()
    for number, each in enumerate(made):
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for index, name in enumerate(each.columns):
            justify: Literal["left", "right"] = "left" if index in each.words else "right"
            table.add_column(name.replace(" ", "\n"), justify=justify, no_wrap=True)
        for row in each.rows:
            table.add_row(*row.cells, style="bold" if row.is_total else None)
        # Half a number is worse than a long line.
        needed = screen.measure(table, options=screen.options.update(width=1000)).maximum
        screen.width = max(screen.width, needed)
        if number:
            screen.print()
        screen.print(each.title, style="bold", soft_wrap=True)
        screen.print(table)
        for note in each.notes:
            screen.print(note, soft_wrap=True)
