"""Everything that a GPU can tell, in one command, under 8 minutes, with torch and triton only.

    python benchmarks/gpu.py [--minutes 6] [--tune] [--out DIR]

1. checks all Triton kernels on the device against float64, training steps of small networks too; exit code 1
   if one is off, or anything fails
2. measures the ceilings: dense products in float32, TF32, bf16, and the bandwidth of a copy
3. times training steps and inference of whole networks, and kernels one by one: Triton, torch's CSR
   (cuSPARSE), DGL where it runs on CUDA, masked dense, and the 2019 method; seconds and peak memory

What the minutes do not reach is left out, and said; numbers are written as they come. What does not fit into
the memory, or does not run, is said in its place. `--tune` times tiles beside the chosen ones, after the
checks. `--smoke` runs all of it on a CPU with tiny sizes, kernels interpreted: a test of this command.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

if not torch.cuda.is_available():
    # Before anything imports triton.
    os.environ.setdefault("TRITON_INTERPRET", "1")

from benchmarks.common import timing
from benchmarks.gpu.tables import tables
from benchmarks.gpu.timing import DEVICE, Clock
from dnw_graph.message_passing import auto_on_cuda
from dnw_graph.triton import availability


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=6.0, help="no new measurement begins after these")
    parser.add_argument("--rounds", type=int, default=7, help="timed calls of each contender")
    parser.add_argument("--tune", action="store_true", help="time other tiles too")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, also without a GPU")
    parser.add_argument("--out", type=Path, help="where to write (default: benchmarks/results)")
    options = parser.parse_args(arguments)
    if (reason := availability.reason()) is not None:
        print(f"benchmarks/gpu.py: {reason}", file=sys.stderr)
        return 2
    if DEVICE.type != "cuda" and not options.smoke:
        print(
            "benchmarks/gpu.py: torch finds no CUDA device; --smoke tries the command without",
            file=sys.stderr,
        )
        return 2
    timing.RESULTS = options.out or timing.RESULTS
    try:
        timing.RESULTS.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=timing.RESULTS).close()
    except OSError as error:
        print(f"benchmarks/gpu.py: {error}; name another directory with --out", file=sys.stderr)
        return 2
    torch.manual_seed(0)
    # Float32 is float32 unless a measurement says otherwise.
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    # Masked dense gets the best convolutions that there are.
    torch.backends.cudnn.benchmark = True
    found = measure(options, Clock(60 * options.minutes))
    title, header, rows, notes = tables(found)
    timing.write_results(_name(options), title, header, rows, found, notes)
    return 0 if all(record["within"] for record in found["checks"]) and not found["errors"] else 1


def measure(options: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """All records, by what they are of, JSON-able."""
    # Here, after the reasons why none of it can run.
    from benchmarks.gpu.ceilings import gpu_ceilings
    from benchmarks.gpu.checks import checks
    from benchmarks.gpu.kernels import message_records, node_records, tile_records
    from benchmarks.gpu.steps import batches, records, subjects, waiting

    smoke, rounds = options.smoke, 1 if options.smoke else options.rounds
    found: dict[str, Any] = {"device": _device(), "smoke": smoke, "complete": False, "errors": []}
    found |= {part: [] for part in ("checks", "ceilings", "tiles", "messages", "nodes", "steps", "waiting")}

    def add(part: str, what: str, make: Callable[[], Iterable[dict[str, Any]]]) -> None:
        """Records of one part, as they come; what fails is told at the end and stops nothing else."""
        if part not in ("checks", "ceilings") and clock.left() < 0:
            return
        try:
            for record in make():
                found[part].append(record)
        except Exception:
            found["errors"].append({"what": what, "traceback": traceback.format_exc()})
            print(found["errors"][-1]["traceback"], file=sys.stderr)
        timing.write_numbers(_name(options), found)
        _say(clock, what)

    add("checks", "checks", partial(checks, smoke))
    _say(clock, f"{sum(each['within'] for each in found['checks'])} of {len(found['checks'])} checks passed")
    add("ceilings", "ceilings", lambda: [gpu_ceilings(smoke, rounds)])
    every = subjects(smoke)
    usual = {name: batches(name, smoke)[0] for name in every}
    if options.tune:
        for name, subject in every.items():
            part = partial(tile_records, subject.model, usual[name], rounds, clock)
            add("tiles", f"tiles for {name}", part)

    def whole(place: int) -> None:
        for name, subject in every.items():
            for batch in batches(name, smoke)[place : place + 1]:
                for kind in ("inference", "training"):
                    part = partial(records, kind, subject, batch, rounds, clock)
                    add("steps", f"{kind} of {name} with {batch} images", part)

    # What matters most first: each network with its usual batch.
    whole(0)
    for name, subject in every.items():
        add("waiting", f"waiting in {name}", partial(waiting, subject, usual[name]))
        part = partial(message_records, subject.model, name, usual[name], rounds, clock)
        add("messages", f"messages of {name}", part)
    add("nodes", "node operations", partial(node_records, rounds, smoke, clock))
    for place in range(1, max(len(batches(name, smoke)) for name in every)):
        whole(place)
    found["complete"] = clock.left() > 0
    return found


def _name(options: argparse.Namespace) -> str:
    return "gpu_smoke" if options.smoke else "gpu"


def _device() -> dict[str, Any]:
    import triton

    about: dict[str, Any] = {"name": "CPU, interpreted", "triton": triton.__version__}
    if DEVICE.type == "cuda":
        properties = torch.cuda.get_device_properties(DEVICE)
        about |= {
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "multiprocessors": properties.multi_processor_count,
            "memory GiB": round(properties.total_memory / 2**30, 1),
            "CUDA": torch.version.cuda,
            "auto": auto_on_cuda.explanation(torch.device("cuda", torch.cuda.current_device())),
        }
    return about


def _say(clock: Clock, what: str) -> None:
    print(f"{clock.used():5.0f} s  {what}", file=sys.stderr, flush=True)
