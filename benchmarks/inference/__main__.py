"""Whole-network inference, 3×224×224: our engines beside every other that is installed.

    python -m benchmarks.inference [--threads 1 2] [--batch 1 32] [--networks …] [--quick]
        [--torch-compile] [--deepsparse PYTHON]

All engines of a network run in turn, in one process (DeepSparse in one of its own), each checked first: its
logits are ours. GFLOP/s count exact MACs (2 FLOPs each), whatever an engine executes. "As used" is the same
call just after torch decoded, resized and normalised its images, which is part of the time. Message passing
alone is timed per stage, at the first of the batches.
"""

from __future__ import annotations

import argparse
import itertools
import math
import os
import statistics
import time
from typing import Any

import torch

import dnw_graph as dg
from benchmarks.common.ceilings import ceilings
from benchmarks.common.timing import samples, write_results
from benchmarks.inference.as_used import as_used, photographs, prepare
from benchmarks.inference.engines import ONNX_RUNTIME, dense_peer, engines, missing, relative_errors, versions
from benchmarks.inference.networks import DENSE, WIRED, described, wired
from benchmarks.inference.stage_messages import BACKENDS, stage_messages
from dnw_graph.models.network import WiredNetwork

YARDSTICK, PREPARING = "MobileNetV1 ×0.25", "decoding, resizing and normalising"


def cell(
    model: WiredNetwork, threads: int, batch: int, skip: dict[str, str], options: argparse.Namespace
) -> dict[str, Any]:
    """All engines on one network with so many threads and images: seconds per image, and more."""
    torch.set_num_threads(threads)
    images = torch.randn(batch, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    runs = engines(model, images, threads, skip, options.torch_compile, options.deepsparse)
    with torch.inference_mode():
        errors = relative_errors(runs, dg.compile(model, "dense")(images))
    macs = dict.fromkeys(runs, dg.count(model).macs)
    if ONNX_RUNTIME not in skip:
        for peer in DENSE:
            runs[peer], macs[peer] = dense_peer(peer, images, threads)
    single = batch == 1

    def timed(calls: dict[str, Any]) -> dict[str, list[float]]:
        return samples(
            calls,
            options.rounds if single else max(2, options.rounds // 5),
            # The check was a call already.
            warm_up=int(single),
            burst=5 if single else 1,
            pause=0.01,
            seconds=options.seconds * (1 if single else 2),
        )

    times = timed(runs)
    used = timed({**as_used(runs, images), PREPARING: lambda: prepare(images, photographs())})
    found = {
        engine: {
            "median": statistics.median(each) / batch,
            "as_used": statistics.median(used[engine]) / batch,
            "fastest": min(each) / batch,
            "slowest": max(each) / batch,
            "calls": len(each),
            "macs": macs[engine],
            "relative_error": errors.get(engine),
        }
        for engine, each in times.items()
    }
    return {"engines": found, "preparing": statistics.median(used[PREPARING]) / batch}


def rows(cells: list[dict[str, Any]]) -> list[list[str]]:
    """The table: one row per engine of each cell."""
    made = []
    for each in cells:
        found = each["engines"]
        native = found.get("native", {}).get("median")
        yardstick = found.get(YARDSTICK)
        for engine, values in found.items():
            seconds, macs = values["median"], values["macs"]
            ratio = f"{seconds / native:.2f}" if native and engine not in DENSE else "–"
            cost = "–"
            if yardstick:
                cost = f"{seconds / macs / (yardstick['median'] / yardstick['macs']):.2f}"
            shown = f"*dense {engine}* (ONNX Runtime)" if engine in DENSE else engine
            row = [each["network"], str(each["threads"]), str(each["batch"]), shown, f"{seconds * 1e3:.2f}"]
            row += [f"{values['fastest'] * 1e3:.2f}", f"{2 * macs / seconds / 1e9:.1f}", ratio, cost]
            alone = values["as_used"] - each["preparing"]
            row += [f"{values['as_used'] * 1e3:.2f}", f"{alone / seconds:.2f}"]
            made.append(row)
    return made


def stage_rows(stages: list[dict[str, Any]], rates: dict[str, dict[str, float]]) -> list[list[str]]:
    """The table: one row per stage, number of threads and batch."""
    made = []
    for each in stages:
        best, seconds = rates[str(each["threads"])], each["seconds"]
        row = [each["network"], str(each["threads"]), str(each["batch"]), each["stage"], f"{each['side']}²"]
        for backend in BACKENDS:
            taken = seconds.get(backend)
            row.append(f"{taken * 1e3:.2f} ({each['flops'] / taken / 1e9:.1f})" if taken else "–")
        native = seconds.get("native")
        if native:
            rate, traffic = each["flops"] / native / 1e9, each["bytes"] / native / 1e9
            row.append(f"{seconds['dgl'] / native:.1f}" if "dgl" in seconds else "–")
            row += [f"{rate / best['sgemm']:.0%}", f"{traffic / best['read']:.0%}"]
            row.append(f"{2 * each['flops'] / native / 1e9 / best['cache']:.0%}")
        else:
            row += ["–"] * 4
        made.append(row)
    return made


def _loads(averages: tuple[float, float, float]) -> str:
    return " ".join(f"{average:.1f}" for average in averages)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=WIRED, default=list(WIRED), metavar="NAME")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 32])
    parser.add_argument("--rounds", type=int, default=20, help="at most, at batch 1; a fifth at larger ones")
    parser.add_argument("--seconds", type=float, default=10, help="after which a cell begins no new round")
    parser.add_argument("--limit", type=float, default=math.inf, help="seconds after which no network begins")
    parser.add_argument("--quick", action="store_true", help="few rounds, to try it out")
    parser.add_argument("--name", default="inference", help="of the files under benchmarks/results/")
    parser.add_argument("--torch-compile", action="store_true", help="with torch.compile of the masked dense")
    parser.add_argument("--deepsparse", metavar="PYTHON", help="a Python that has DeepSparse 1.8")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.seconds = 2, 0.0
    before = os.getloadavg()
    print(f"load average before: {before}")
    models = {name: wired(name) for name in options.networks}
    rates, cells, stages = {}, [], []
    for threads in options.threads:
        torch.set_num_threads(threads)
        rates[str(threads)] = ceilings(options.rounds)
    skip = missing(options.torch_compile, options.deepsparse)
    present = [name for name in BACKENDS if name not in skip]
    begin = time.perf_counter()
    for batch, threads, name in itertools.product(options.batch, options.threads, models):
        about = {"network": name, "threads": threads, "batch": batch}
        if time.perf_counter() - begin > options.limit:
            skip[f"{name}, {threads} threads, batch {batch}"] = "no time was left; raise --limit"
            continue
        cells.append(about | cell(models[name], threads, batch, skip, options))
        if batch == options.batch[0]:
            found = stage_messages(models[name], batch, present, 5, options.seconds / 20)
            stages += [about | stage for stage in found]
        print(f"{time.perf_counter() - begin:.0f} s: {about}", flush=True)
    after, peers = os.getloadavg(), versions(options.deepsparse)
    notes = [f"{name}: {described(model)}; untrained" for name, model in models.items()]
    notes += [
        "DNW: no trained ImageNet run is at hand; its dead nodes come from made-up strengths of nodes",
        "masked dense: torch's convolutions of all candidate weights, masked beforehand, not in every call",
        "ONNX Runtime, OpenVINO, DeepSparse: the same masked weights without dead nodes, norms folded",
        f"as used: {PREPARING} with torch, then the network; DeepSparse reads images of its own process",
        *(f"{name}: left out, {reason}" for name, reason in skip.items()),
        "versions: " + ", ".join(f"{name} {version}" for name, version in peers.items()),
        f"load average before {_loads(before)}, after {_loads(after)} ({os.cpu_count()} cores)",
        *(
            f"{threads} threads: sgemm {rate['sgemm']:.0f} GFLOP/s, memory read {rate['read']:.1f} and "
            f"copy {rate['copy']:.1f} GB/s, second-level cache {rate['cache']:.0f} GB/s"
            for threads, rate in rates.items()
        ),
    ]
    data = {"versions": peers, "missing": skip, "load": {"before": before, "after": after}}
    data |= {"ceilings": rates, "cells": cells, "stages": stages, "notes": notes}
    header = ["network", "threads", "batch", "engine", "ms per image", "fastest", "GFLOP/s"]
    header += ["time / native", "cost per MAC / MobileNetV1 ×0.25", "ms as used", "of it the network / alone"]
    write_results(options.name, "Inference, 3×224×224, median", header, rows(cells), data, notes)
    header = ["network", "threads", "batch", "stage", "maps", *(f"{b}, ms (GFLOP/s)" for b in BACKENDS)]
    header += ["dgl / native", "of sgemm", "of memory read", "of cache loads"]
    title = "Message passing alone, per stage"
    write_results(f"{options.name}_stages", title, header, stage_rows(stages, rates), stages, notes)


if __name__ == "__main__":
    main()
