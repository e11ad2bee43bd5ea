"""Where the engine's time goes, stage by stage, and what other plans would give.

    python -m benchmarks.inference.engine_stages [--threads 1 2] [--networks …] [--rounds 8]

One image, 3×224×224, backend native. Every variant of the plan takes its turn in each round; of each
operation the fastest of the rounds' medians counts, since a neighbour on the machine only ever adds time.

Beside the times stand the ceilings measured in the same run: sgemm, memory, and the second-level cache. A
message is one product with one load; what the cache delivers is then the most that messages can do.
"""

from __future__ import annotations

import argparse
import collections
import os
from typing import Any
from unittest import mock

import torch

import dnw_graph as dg
from benchmarks.common.ceilings import ceilings
from benchmarks.common.timing import write_results
from benchmarks.inference.networks import WIRED, wired
from dnw_graph.engine.plan_steps import plan_of
from dnw_graph.inference import compiled
from dnw_graph.inference.compiled import CompiledNetwork
from dnw_graph.models.network import WiredNetwork

AS_IT_IS = "as it is"
# Options of `plan_of`; the first is what the engine does by itself.
VARIANTS: dict[str, dict[str, Any]] = {
    AS_IT_IS: {},
    "no strips": {"fused_stages": 0},
    "two stages in strips": {"fused_stages": 2},
    "strips of 4 rows": {"strip_rows": 4},
    "tiles of 16 pixels": {"tile": 16, "block": 1 << 30},
    "tiles of 32 pixels": {"tile": 32, "block": 1 << 30},
    "tiles of 56 pixels": {"tile": 56, "block": 1 << 30},
    "tiles of 112 pixels": {"tile": 112, "block": 1 << 30},
    "no blocks of sources": {"block": 1 << 30},
    "blocks of 64 everywhere": {"block": 64},
    "blocks of 128 everywhere": {"block": 128},
    "blocks of 256 everywhere": {"block": 256},
}
CALLS = 8


def made(model: WiredNetwork, variant: str) -> CompiledNetwork:
    """The engine with that variant's plan for one image."""
    network = dg.compile(model, "native")
    options = VARIANTS[variant]
    with mock.patch.object(compiled, "plan_of", lambda *parts: plan_of(*parts, **options)):
        network(torch.zeros(1, 3, 224, 224))
    return network


def profiles(
    model: WiredNetwork, image: torch.Tensor, rounds: int, variants: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Per variant, each stage's operations of one kind together: MACs, bytes, seconds."""
    networks = {name: made(model, name) for name in variants}
    expected = dg.compile(model, "csr")(image)
    for name, network in networks.items():
        error = float((network(image) - expected).abs().max() / expected.abs().max())
        assert error < 2e-5, f"{name}: other logits, by {error}"
    best: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, network in networks.items():
            seconds = [each.seconds for each in network.profile(image, CALLS)]
            best[name] = [min(pair) for pair in zip(best.get(name, seconds), seconds, strict=True)]
    found = {}
    for name, network in networks.items():
        totals: dict[tuple[str, str], list[float]] = collections.defaultdict(lambda: [0, 0, 0.0])
        for each, seconds in zip(network.profile(image, 1), best[name], strict=True):
            total = totals[each.work.stage, each.work.kind]
            for place, value in enumerate((each.work.macs, each.work.bytes, seconds)):
                total[place] += value
        found[name] = [
            {"stage": stage, "kind": kind, "macs": macs, "bytes": moved, "seconds": seconds}
            for (stage, kind), (macs, moved, seconds) in totals.items()
        ]
    return found


def rows(cells: list[dict[str, Any]], rates: dict[str, dict[str, float]]) -> list[list[str]]:
    """The table of the engine as it is."""
    made = []
    for cell in cells:
        best, parts = rates[str(cell["threads"])], cell["variants"][AS_IT_IS]
        whole = sum(part["seconds"] for part in parts)
        for part in parts:
            seconds, flops = part["seconds"], 2 * part["macs"]
            row = [cell["network"], str(cell["threads"]), part["stage"], part["kind"]]
            row += [f"{seconds * 1e3:.3f}", f"{seconds / whole:.0%}", f"{part['macs'] / 1e6:.2f}"]
            if part["macs"]:
                row += [f"{flops / seconds / 1e9:.1f}", f"{flops / seconds / 1e9 / best['sgemm']:.0%}"]
            else:
                row += ["–", "–"]
            row.append(f"{part['bytes'] / seconds / 1e9 / best['read']:.0%}" if part["bytes"] else "–")
            messages = part["kind"] == "messages" and part["macs"]
            row.append(f"{2 * flops / seconds / 1e9 / best['cache']:.0%}" if messages else "–")
            made.append(row)
    return made


def variant_rows(cells: list[dict[str, Any]]) -> list[list[str]]:
    """The table of other plans: milliseconds of the whole, and of messages in each stage."""
    made = []
    for cell in cells:
        for name, parts in cell["variants"].items():
            taken = {(part["stage"], part["kind"]): part["seconds"] for part in parts}
            stages = sorted({stage for stage, kind in taken if kind == "messages"})
            row = [cell["network"], str(cell["threads"]), name, f"{sum(taken.values()) * 1e3:.2f}"]
            made.append(row + [f"{taken[stage, 'messages'] * 1e3:.2f}" for stage in stages])
    return made


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=WIRED, default=list(WIRED), metavar="NAME")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    before = os.getloadavg()
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    rates: dict[str, dict[str, float]] = {}
    cells: list[dict[str, Any]] = []
    for threads in options.threads:
        torch.set_num_threads(threads)
        rates[str(threads)] = ceilings(options.rounds)
    for name in options.networks:
        model = wired(name)
        for threads in options.threads:
            torch.set_num_threads(threads)
            # Other plans differ in what one core does; on one thread nothing else is mixed in.
            variants = list(VARIANTS) if threads == 1 else [AS_IT_IS]
            found = profiles(model, image, options.rounds, variants)
            cells.append({"network": name, "threads": threads, "variants": found})
            print(f"{name}, {threads} threads", flush=True)
    notes = [f"load average before {before}, after {os.getloadavg()} ({os.cpu_count()} cores)"]
    notes += [
        f"{threads} threads: sgemm {rate['sgemm']:.0f} GFLOP/s, memory read {rate['read']:.1f} GB/s, "
        f"second-level cache {rate['cache']:.0f} GB/s, first-level {rate['first']:.0f} GB/s"
        for threads, rate in rates.items()
    ]
    header = ["network", "threads", "stage", "kind", "ms", "of the call", "M MACs", "GFLOP/s", "of sgemm"]
    header += ["of memory read", "of cache loads"]
    data = {"ceilings": rates, "cells": cells}
    write_results("engine_stages", "The engine, one image", header, rows(cells, rates), data, notes)
    stages = [f"messages of stage_{number}, ms" for number in range(5)]
    header = ["network", "threads", "plan", "ms", *stages]
    write_results("engine_plans", "Other plans, one image", header, variant_rows(cells), cells, notes)


if __name__ == "__main__":
    main()
