"""`dnw-graph export RUN -o net.dnw`, `net.onnx` or `net.html`: the network of a run as one file."""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dnw_graph
from dnw_graph.commands import options
from dnw_graph.errors import InputError
from dnw_graph.interchange.file import write_bytes
from dnw_graph.interchange.formats import FORMATS

if TYPE_CHECKING:
    from torch import nn

    from dnw_graph.runs.run import Run

SUFFIXES = {".dnw": "dnw", ".onnx": "onnx", ".html": "html"}
PRECISIONS = ("float32", "float16")


def network_format(path: Path, asked: str | None) -> str | None:
    """The format of a whole network that is asked for, or None. Raises InputError for another's suffix."""
    suffix = path.suffix.lower()
    if asked in SUFFIXES.values() and suffix in FORMATS:
        raise InputError(f"{path}: the suffix is that of {FORMATS[suffix].name}; for {asked} use .{asked}")
    mine = SUFFIXES.get(suffix)
    if asked is not None and mine not in (None, asked):
        raise InputError(f"{path}: the suffix is that of {mine}; for {asked} use another")
    return mine if asked is None else asked if asked in SUFFIXES.values() else None


def export_network(args: argparse.Namespace, path: Path, name: str) -> int:
    """Write the file, and say how far its logits are from the network's."""
    if args.stage is not None or args.threshold is not None or args.without_dead:
        raise InputError(
            f"{path}: a .{name} file holds the whole network, without what is dead; "
            "leave out --stage, --threshold and --without-dead"
        )
    if args.precision is not None and name != "dnw":
        raise InputError(f"--precision {args.precision}: is of .dnw files alone; leave it out")
    options.load_plugins(args)
    from dnw_graph.runs.load import load_run

    if name == "html":
        said = write_html(args, path)
    else:
        run = load_run(args.run, checkpoint=args.checkpoint)
        said = write_onnx(run, path) if name == "onnx" else write_dnw(run, path, args.precision or "float32")
    print(f"{path}: {name}, {path.stat().st_size:,} bytes, {said}")
    return 0


def write_html(args: argparse.Namespace, path: Path) -> str:
    """For the browser."""
    from dnw_graph.view import write_page

    about = write_page(path, args.run, args.checkpoint).about
    return f"{about['nodes']:,} nodes, {about['edges']:,} edges"


def write_dnw(run: Run, path: Path, precision: str) -> str:
    """For dnw-runtime."""
    from dnw_graph.inference.document import document_of
    from dnw_graph.runtime.document import encoded

    document = document_of(run.model, provenance(run))
    write_bytes(path, encoded(document, precision))
    counts = document.counts
    return (
        f"{counts['macs']:,} MACs per image, {counts['params']:,} parameters in {precision}"
        f"{difference(run.model, path)}"
    )


def write_onnx(run: Run, path: Path) -> str:
    """For engines that read ONNX."""
    from dnw_graph.interchange.onnx_network import TOLERANCE, save_onnx

    found = save_onnx(run.model, path, {"provenance": json.dumps(provenance(run))})
    return (
        f"{int(found['macs']):,} MACs per image; engines that multiply by missing edges too make them "
        f"{int(found['macs_dense']):,}; logits agree to {TOLERANCE:g}"
    )


def difference(model: nn.Module, path: Path) -> str:
    """How far the logits of a file are from those of its network, for one random image."""
    import numpy as np
    import torch

    from dnw_graph.inference import compile
    from dnw_graph.native import library
    from dnw_graph.runtime.network import Network

    if library.reason() is not None:
        return ""
    network = Network(path)
    side = network.image_size
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    found, expected = network(images.numpy()), compile(model, "dense")(images).numpy()
    largest = np.abs(found - expected).max() / (np.abs(expected).max() or 1)
    return f"; logits differ from backend dense by {largest:.1e} of the largest"


def provenance(run: Run) -> dict[str, Any]:
    """Where a network comes from: its configuration, its epoch's record, and the code that exports it."""
    epoch = (run.state.get("position") or {}).get("epoch")
    mine = [each for each in run.metrics if each.get("epoch") == epoch] if epoch else []
    return {
        "config": run.state.get("config"),
        "checkpoint": run.checkpoint.name,
        "epoch": epoch,
        "metrics": mine[-1] if mine else None,
        "dnw_graph": dnw_graph.__version__,
        "commit": commit(),
    }


def commit() -> str | None:
    """Of the sources that this is run from; None of an installed package."""
    root = Path(dnw_graph.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
