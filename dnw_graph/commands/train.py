"""`dnw-graph train`: learn a wiring, or go on with a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dnw_graph.commands import options
from dnw_graph.commands.main import INTERRUPTED

if TYPE_CHECKING:
    from dnw_graph.config.schema import Config
    from dnw_graph.training.session import Summary

HELP = "train a network; also under torchrun"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_config(parser)
    options.add_data_directory(parser)
    parser.add_argument(
        "--run-dir",
        metavar="DIR",
        help="where everything goes (default: the run of --resume, or runs/DATASET-CONFIG-seedN)",
    )
    parser.add_argument(
        "--resume",
        metavar="auto|PATH",
        help="go on with a run: auto for the last checkpoint of --run-dir, if any, or the path of one",
    )
    options.add_overrides(parser)
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    cfg = options.read_config(args)
    from dnw_graph.training.loop import train
    from dnw_graph.training.memory import keep_freed_memory

    keep_freed_memory()
    summary = train(cfg, _run_dir(args, cfg), resume=args.resume, plugin=args.plugins)
    if summary.interrupted:
        return INTERRUPTED
    _report(summary)
    return 0


def _run_dir(args: argparse.Namespace, cfg: Config) -> Path:
    if args.run_dir is not None:
        return Path(args.run_dir)
    if args.resume not in (None, "auto"):
        from dnw_graph.runs.directory import locate_checkpoint, run_of

        return run_of(locate_checkpoint(args.resume, "last"))
    return Path("runs") / f"{cfg.data.dataset}-{Path(args.config).stem}-seed{cfg.training.seed}"


def _report(summary: Summary) -> None:
    import os

    if int(os.environ.get("RANK", "0")) == 0:
        print(
            f"{summary.epochs} epochs, {summary.steps:,} steps; best test top-1 {summary.best_top1:.2%} "
            f"after epoch {summary.best_epoch}; run in {summary.run_dir}"
        )
