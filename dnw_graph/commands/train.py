"""`dnw-graph train`: learn a wiring, or go on with a run."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from dnw_graph.commands import options
from dnw_graph.commands.main import INTERRUPTED
from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from dnw_graph.config.schema import Config
    from dnw_graph.training.session import Summary

HELP = "train a network, on your own images or by a configuration; also under torchrun"

EXAMPLES = """\
dnw-graph train --images photos --run-dir runs/photos
dnw-graph train --images photos --run-dir runs/photos --resume auto
dnw-graph train --config digits/tiny_static_dnw
dnw-graph train --config digits/tiny_static_dnw --epochs 30 --lr 0.05 --batch-size 32 --seed 1
dnw-graph train --config fashion_mnist/tiny_static_dnw --set data.validation=0.2 model.edges=16000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_config(parser, required=False)
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="instead of --config: a folder with one folder of images per class, or with train/, val/, test/ "
        "and those in each; the configuration follows from the number and size of the images",
    )
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
    options.add_shorthands(parser)
    options.add_overrides(parser)
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    if args.images is not None and args.data_directory is not None:
        raise InputError(
            f"--data-dir {args.data_directory}: --images {args.images} has the images; leave it out"
        )
    if (args.config is None) == (args.images is None):
        both = "are two ways to say what to train" if args.config else "are missing"
        raise InputError(f"--config and --images {both}; give one of them, for example --images photos")
    options.load_plugins(args)
    cfg = _read_config(args)
    place = _run_dir(args, cfg)
    from dnw_graph.training.loop import train
    from dnw_graph.training.memory import keep_freed_memory

    keep_freed_memory()
    summary = train(cfg, place, resume=args.resume, plugin=args.plugins)
    if summary.interrupted:
        return INTERRUPTED
    if _is_main():
        print(result(summary))
    return 0


def _read_config(args: argparse.Namespace) -> Config:
    """The configuration of --config, or one for --images, which is shown."""
    if args.images is None:
        return options.read_config(args)
    from dnw_graph.config import to_yaml
    from dnw_graph.data.recipe import config_for_images

    cfg, found = config_for_images(args.images, options.overrides_of(args))
    if _is_main():
        print(
            f"{args.images}: {found.training:,} images to train on, of {found.classes} classes, half of them "
            f"at most {found.side} pixels high or wide. This configuration follows; the run's config.yaml "
            f"has it with every default:\n\n{to_yaml(cfg, given=True)}",
            flush=True,
        )
    return cfg


def _run_dir(args: argparse.Namespace, cfg: Config) -> Path:
    if args.run_dir is not None:
        return Path(args.run_dir)
    if args.resume not in (None, "auto"):
        from dnw_graph.runs.directory import locate_checkpoint, run_of
        from dnw_graph.runs.hub import is_address

        if is_address(args.resume):
            raise InputError(
                f"--resume {args.resume}: a run on the hub has no state of training; give a run directory"
            )
        return run_of(locate_checkpoint(args.resume, "last"))
    name = Path(args.images).resolve().name if args.images else f"{cfg.data.dataset}-{Path(args.config).stem}"
    return Path("runs") / f"{name}-seed{cfg.training.seed}"


def result(summary: Summary) -> str:
    """How a run ended, in a line: which epoch counts, by what, and its scores."""
    from dnw_graph.runs.history import history_of

    counts = summary.best_epoch or summary.epochs
    epochs = history_of(summary.run_dir).records("epoch")
    scores = next((record for record in epochs if record["epoch"] == counts), {})
    parts = [f"{name} top-1 {scores[key]:.2%}" for key, name in SCORES.items() if key in scores]
    chosen = "chosen by validation" if summary.best_epoch else "the last, since nothing was to choose"
    judged = f": {', '.join(parts)}" if parts else ""
    done = f"{summary.epochs} epoch{'s' * (summary.epochs != 1)}, {summary.steps:,} steps"
    return f"{done}; epoch {counts} counts ({chosen}){judged}; run in {summary.run_dir}"


SCORES = {"val_top1": "validation", "test_top1": "test"}


def _is_main() -> bool:
    return int(os.environ.get("RANK", "0")) == 0
