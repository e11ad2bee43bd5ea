"""`dnw-graph export RUN -o net.dnw`: the network of a run as one file, for `dnw-runtime`."""

from __future__ import annotations

import argparse
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

NAME, SUFFIX = "dnw", ".dnw"
PRECISIONS = ("float32", "float16")


def is_network(path: Path, name: str | None) -> bool:
    """Whether a network is asked for. Raises InputError for the suffix of another format."""
    suffix = path.suffix.lower()
    if name == NAME and suffix in FORMATS:
        raise InputError(f"{path}: the suffix is that of {FORMATS[suffix].name}; for {NAME} use {SUFFIX}")
    if name not in (None, NAME) and suffix == SUFFIX:
        raise InputError(f"{path}: the suffix is that of {NAME}; for {name} use another")
    return name == NAME or (name is None and suffix == SUFFIX)


def export_network(args: argparse.Namespace, path: Path) -> int:
    """Write the file, run it beside the network, and say how far apart their logits are."""
    if args.stage is not None or args.threshold is not None or args.without_dead:
        raise InputError(
            f"{path}: a {SUFFIX} file holds the whole network, without what is dead; "
            "leave out --stage, --threshold and --without-dead"
        )
    options.load_plugins(args)
    from dnw_graph.inference.document import document_of
    from dnw_graph.runs.load import load_run
    from dnw_graph.runtime.document import encoded

    precision = args.precision or "float32"
    model = load_run(args.run, checkpoint=args.checkpoint).model
    document = document_of(model, provenance(args.run, args.checkpoint))
    data = encoded(document, precision)
    write_bytes(path, data)
    counts = document.counts
    print(
        f"{path}: {NAME}, {len(data):,} bytes, {counts['macs']:,} MACs per image, {counts['params']:,} "
        f"parameters in {precision}{difference(model, path)}"
    )
    return 0


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


def provenance(run: str, checkpoint: str | None) -> dict[str, Any]:
    """Where a network comes from: its configuration, its epoch's record, and the code that exports it."""
    from dnw_graph.runs.checkpoint import read_state
    from dnw_graph.runs.directory import RunDirectory, locate_checkpoint, run_of
    from dnw_graph.runs.history import read_records

    directory = locate_checkpoint(run, checkpoint)
    state = read_state(directory)
    epoch = state.get("position", {}).get("epoch")
    path = RunDirectory(run_of(directory)).metrics
    records = read_records(path) if path.is_file() else []
    mine = [each for each in records if each.get("kind") == "epoch" and each.get("epoch") == epoch]
    return {
        "config": state.get("config"),
        "checkpoint": directory.name,
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
