"""`dnw-graph evaluate`: accuracy, size and speed of a trained network."""

from __future__ import annotations

import argparse
import json
import math
import sys
from typing import TYPE_CHECKING, Any, Literal

from dnw_graph.commands import options
from dnw_graph.errors import InputError

if TYPE_CHECKING:
    from dnw_graph.accounting.report import Report

HELP = "accuracy, loss, parameters, MACs and images/s of a run"

EXAMPLES = """\
dnw-graph evaluate runs/demo
dnw-graph evaluate runs/demo --part validation --json
dnw-graph evaluate runs/demo --checkpoint last --compact --backend csr --expect-exact
dnw-graph evaluate runs/photos --data-dir photos
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a run directory, a checkpoint in it, or hf://user/name")
    options.add_checkpoint(parser)
    parser.add_argument(
        "--part",
        choices=("test", "validation"),
        help="which images (default: those of the test, or of validation where there is no test)",
    )
    options.add_data_directory(parser)
    parser.add_argument("--backend", metavar="NAME", help="message passing by this backend (model.backend)")
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="images per batch (training.eval_batch_size)"
    )
    parser.add_argument(
        "--compact", action="store_true", help="run only what the logits need: the compiled network"
    )
    parser.add_argument(
        "--expect-exact",
        action="store_true",
        help="with --compact: fail unless the executed MACs equal the exact count",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options.add_overrides(parser)
    options.add_plugins(parser)


def run(args: argparse.Namespace) -> int:
    if args.expect_exact and not args.compact:
        raise InputError("--expect-exact checks the compiled network; give --compact too")
    options.load_plugins(args)
    overrides = options.overrides_of(args)
    overrides += [] if args.backend is None else [f"model.backend={json.dumps(args.backend)}"]
    overrides += [] if args.batch_size is None else [f"training.eval_batch_size={args.batch_size}"]
    report = measure(args.run, args.checkpoint, overrides, compact=args.compact, part=args.part)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    if args.expect_exact and not report["exact"]:
        raise InputError(
            f"--expect-exact: backend {report['backend']} executed {report['executed_macs']:,} MACs per "
            f"image, but the exact count is {report['macs']:,}; backends dgl and csr execute the exact count"
        )
    return 0


def measure(
    path: str,
    checkpoint: str | None,
    overrides: list[str],
    compact: bool = False,
    part: Literal["test", "validation"] | None = None,
) -> dict[str, Any]:
    """Evaluate a run → plain values: fractions, nats, multiply-accumulates per image.

    checkpoint  best or last; None: the best, where one was chosen, or the last
    compact     run the compiled network, and report what its launches executed
    part        of the images; None: test, or validation where there is no test
    """
    import torch

    from dnw_graph.accounting import count
    from dnw_graph.data import Batches, Part, open_data
    from dnw_graph.data.workers import telling_of_dead_workers
    from dnw_graph.inference import compile
    from dnw_graph.models import is_wired
    from dnw_graph.runs.checkpoint import read_state
    from dnw_graph.runs.directory import chosen_on_test, locate_checkpoint
    from dnw_graph.runs.load import load_run
    from dnw_graph.training.distributed import choose_device
    from dnw_graph.training.evaluate import evaluate
    from dnw_graph.training.learner import PRECISIONS, check_precision
    from dnw_graph.training.resume import check_classes, other_images, recorded

    directory = locate_checkpoint(path, checkpoint)
    loaded = load_run(directory, overrides=overrides)
    cfg, model = loaded.config, loaded.model
    state = read_state(directory)
    position = state.get("position", {})
    if cfg.training.threads is not None:
        torch.set_num_threads(cfg.training.threads)
    device = choose_device(cfg.training.device)
    check_precision(cfg.training.precision, device)
    batch_size = cfg.training.eval_batch_size or cfg.training.batch_size // cfg.training.accumulate
    source = open_data(
        cfg.data,
        image_size=cfg.model.image_size,
        num_classes=cfg.model.num_classes,
        seed=cfg.training.seed,
    )
    wanted: tuple[Part, ...] = ("test", "validation") if part is None else (part,)
    opened = ((each, source.batches(each, batch_size)) for each in wanted)
    found: tuple[Part, Batches] | None = next(((name, each) for name, each in opened if each), None)
    if found is None:
        raise InputError(
            f"{directory}: {cfg.data.dataset} has no {' nor '.join(wanted)} images in this run; keep some "
            "apart (data.validation, data.test), or give --part of those that there are"
        )
    judged_by, batches = found
    check_classes(state, batches, directory)
    before = recorded(state, judged_by)
    if before is not None and before != batches.described():
        print(
            f"note: {batches.source}: {other_images(before, batches)} than those of the training's scores",
            file=sys.stderr,
        )
    is_best = directory.name.partition(".")[0] == "best"
    if is_best and chosen_on_test(state) and position.get("epoch"):
        print(
            f"note: {directory}: an earlier version of dnw-graph chose this checkpoint by its score on these "
            "images, which is therefore too good; --checkpoint last was not chosen",
            file=sys.stderr,
        )
    size = count(model)
    network: Any = model.to(device)
    dtype = PRECISIONS[cfg.training.precision]
    backend = ", ".join(sorted(backends_of(network, dtype))) if is_wired(model) else None
    if compact:
        network = Executing(compile(network, cfg.model.backend))
        backend = network.compiled.resolved_backend(dtype)
    with telling_of_dead_workers():
        scores = evaluate(
            network,
            batches,
            num_classes=cfg.model.num_classes,
            device=device,
            precision=cfg.training.precision,
        )
    assert scores is not None
    if not math.isfinite(scores["loss"]):
        raise InputError(
            f"{directory}: the loss of the {judged_by} images is not finite; this network's training "
            "diverged, use an earlier checkpoint"
        )
    return {
        "checkpoint": str(directory),
        "epoch": position.get("epoch"),
        "step": position.get("step"),
        "network": cfg.model.network,
        "rule": cfg.model.rule if is_wired(model) else None,
        "chosen_by": state.get("best_by", "test" if position.get("epoch") else None) if is_best else None,
        "dataset": cfg.data.dataset,
        "part": judged_by,
        "images": batches.num_samples,
        "top1": scores["top1"],
        "top5": scores.get("top5"),
        "loss": scores["loss"],
        "params": size.params,
        "macs": size.macs,
        "published_macs": size.published_macs,
        "executed_macs": network.macs if compact else None,
        "exact": network.is_exact(size) if compact else None,
        "images_per_second": scores["images_per_second"],
        "batch_size": batch_size,
        "device": str(device),
        "backend": backend,
        "compact": compact,
        "precision": cfg.training.precision,
    }


def backends_of(network: Any, dtype: Any) -> set[str]:
    """What runs on features of this dtype, by name, where the configuration may say auto."""
    return {stage.resolved_backend(dtype) for _, stage in network.wired_stages()}


class Executing:
    """A compiled network as a function of images, which keeps what its calls executed."""

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self.total, self.images = 0, 0
        self.found: set[int] = set()

    def __call__(self, images: Any) -> Any:
        logits, executed = self.compiled.run(images)
        self.total, self.images = self.total + executed.total, self.images + executed.images
        self.found.add(executed.macs)
        return logits

    @property
    def macs(self) -> int:
        """Per image, on average: a solver of continuous time evaluates each batch as often as it needs."""
        return self.total // max(1, self.images)

    def is_exact(self, size: Report) -> bool:
        """Whether every call executed the exact count, in continuous time a whole number of times."""
        if size.evaluations != 0:
            return self.found <= {size.macs}
        once = sum(stage.macs for stage in size.stages)
        around = size.macs - once
        return all(macs == around if not once else (macs - around) % once == 0 for macs in self.found)


def show(report: dict[str, Any]) -> None:
    """A table of two columns on stdout, without frames, so that it survives a pipe."""
    from rich.table import Table

    from dnw_graph.commands.terminal import console

    grid = Table.grid(padding=(0, 2))
    for name, value in rows(report):
        grid.add_row(name, value)
    console().print(grid)


def rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    """What the table says, with units; what is unknown or has no meaning is left out."""
    where = f"{report['device']}, {report['precision']}, batches of {report['batch_size']}"
    wiring = "" if report["rule"] is None else f", rule {report['rule']}"
    moment = "" if report["epoch"] is None else f" (epoch {report['epoch']}, step {report['step']:,})"
    moment += "" if report["chosen_by"] is None else f", chosen by {report['chosen_by']} images"
    lines = [
        ("checkpoint", f"{report['checkpoint']}{moment}"),
        ("network", f"{report['network']}{wiring}"),
        (f"{report['part']} images", f"{report['images']:,} of {report['dataset']}"),
        ("top-1", f"{report['top1']:.2%}"),
        ("top-5", "" if report["top5"] is None else f"{report['top5']:.2%}"),
        ("loss", f"{report['loss']:.4f} nats"),
        ("parameters", f"{report['params']:,}"),
        ("MACs, exact", f"{report['macs']:,} per image"),
        ("MACs, published", number(report["published_macs"], " per image (224 pixels, budget)")),
        ("MACs, executed", number(report["executed_macs"], " per image")),
        ("speed", f"{report['images_per_second']:,.0f} images/s ({where})"),
        ("backend", report["backend"] or ""),
    ]
    return [(name, value) for name, value in lines if value]


def number(value: int | None, unit: str) -> str:
    """With thousands separators and its unit; empty where there is none."""
    return "" if value is None else f"{value:,}{unit}"
