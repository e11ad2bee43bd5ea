"""A training step on a CPU: the 2019 method, and ours by every backend.

    python -m benchmarks.training [--networks …] [--contenders …] [--without dgl] [--batch N] [--threads 2 1]
        [--rounds 20] [--seconds 30] [--quick]

All contenders of a network start from the same numbers and train on the same images, a step each in turn, in
one process; peak memory is that of a process of its own. The first 20 losses of each are compared with those
of the `dense` backend, and with what the last bit of its weights does to it. Then: what a step of ours is
made of, and the share of loading images.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from typing import Any

import torch

from benchmarks.common.ceilings import ceilings
from benchmarks.common.timing import samples, write_results
from benchmarks.training.contenders import (
    BATCH,
    CONTENDERS,
    NETWORKS,
    PARTS,
    Contender,
    contender,
    images_of,
    missing,
    resolved,
)
from benchmarks.training.curves import NUDGED, curves, one_by_one
from benchmarks.training.loading import LOADERS, loading
from benchmarks.training.memory import measure
from benchmarks.training.parts import step_parts
from dnw_graph.training.memory import keep_freed_memory

CURVE = 20
_EQUAL = 1e-4


def timed(each: dict[str, Contender], options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Seconds per step of every contender, and of its parts, with torch's number of threads."""
    before = {name: len(one.parts) for name, one in each.items()}
    calls = {name: one.step for name, one in each.items()}
    times = samples(calls, options.rounds, warm_up=1, pause=0.01, seconds=options.seconds)
    found = {}
    for name, seconds in times.items():
        # The first of them was the warm-up.
        parts = each[name].parts[before[name] + 1 :]
        found[name] = {
            "median": statistics.median(seconds),
            "fastest": min(seconds),
            "slowest": max(seconds),
            "steps": len(seconds),
            "parts": {part: statistics.median(one[part] for one in parts) for part in PARTS},
        }
    return found


def check(each: dict[str, Contender]) -> dict[str, float]:
    """Largest relative difference of logits from those of `dense` (or the first), before any step."""
    reference = each.get("dense", next(iter(each.values())))
    images = reference.batches[0][0][:64]
    expected = reference.logits(images)
    errors = {}
    for name, one in each.items():
        errors[name] = float((one.logits(images) - expected).abs().max() / expected.abs().max())
        if errors[name] > _EQUAL:
            raise SystemExit(f"{name} gives other logits than {reference.name}: off by {errors[name]:.1e}")
    return errors


def network_results(network: str, options: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """Everything that is measured of one network."""
    batch = options.batch or BATCH[network]
    batches, source = images_of(network, batch, CURVE)
    each = {name: contender(name, network, batch, batches) for name in names}
    found: dict[str, Any] = {"network": network, "batch": batch, "images": source, "logits": check(each)}
    found["backends"] = {name: resolved(one.learner) for name, one in each.items()}
    found["threads"] = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        found["threads"][str(threads)] = {"contenders": timed(each, options)}
        _say(f"{network}, {threads} threads: timed")
    torch.set_num_threads(max(options.threads))
    steps = options.curve
    found["curves"] = curves(each, network, batch, steps)
    if {"dense", "auto"} <= each.keys():
        found["one_by_one"] = one_by_one(network, batch, batches, steps)
    _say(f"{network}: losses compared")
    for threads in options.threads if "auto" in each else ():
        torch.set_num_threads(threads)
        cell = found["threads"][str(threads)]
        cell["step_parts"] = step_parts(each["auto"], options.rates[str(threads)], 1 if options.quick else 3)
    del each
    threads = max(options.threads)
    found["memory"] = {name: measure(network, name, batch, threads) for name in names}
    _say(f"{network}: memory measured")
    return found


def rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """The table: one row per contender of each network and number of threads."""
    made = []
    for each in results:
        curve = each["curves"]["from_dense"]
        for threads, cell in each["threads"].items():
            first = cell["contenders"].get("original", {}).get("median")
            for name, values in cell["contenders"].items():
                memory = each["memory"][name]
                own = (memory["peak"] - memory["imports"]) / 2**20
                row = [each["network"], threads, name, f"{values['median']:.3f}"]
                row += [f"{each['batch'] / values['median']:.0f}"]
                row += [f"{first / values['median']:.2f}" if first else "–"]
                row += [f"{values['parts'][part] * 1e3:.0f}" for part in PARTS]
                row += [f"{memory['peak'] / 2**20:.0f}", f"{own:.0f}"]
                row += [f"{curve[name]:.0e}" if name in curve else "–"]
                made.append(row)
    return made


def part_rows(results: list[dict[str, Any]]) -> list[list[str]]:
    """The second table: one row per part of our step."""
    made = []
    for each in results:
        for threads, cell in each["threads"].items():
            for part in cell.get("step_parts", ()):
                row = [each["network"], threads, part["part"], f"{part['seconds'] * 1e3:.1f}"]
                row += [f"{part['share']:.0%}", f"{part['flops'] / 1e9:.2f}", f"{part['bytes'] / 1e6:.0f}"]
                row += [f"{part['least'] * 1e3:.1f}", part["bound"]]
                row += [f"{part['least'] / part['seconds']:.0%}" if part["seconds"] else "–"]
                made.append(row)
    return made


def agreement(each: dict[str, Any]) -> str:
    """How alike `auto` and `dense` are, in one line."""
    away, together, single = each["curves"]["from_dense"], each["curves"]["together"], each["one_by_one"]
    steps = single["steps"]
    return (
        f"{each['network']}, auto and dense: losses within 1e-4 for {together['auto']} of {steps} steps, "
        f"at most {away['auto']:.0e} apart (dense from itself with the last bits of its weights changed: "
        f"{together[NUDGED]} steps, {away[NUDGED]:.0e}); each of {steps} steps from the same state: loss "
        f"{single['loss']:.0e}, gradients {single['gradient']:.0e} ({single['worst']})"
    )


_BEGIN = time.perf_counter()


def _say(what: str) -> None:
    print(f"{time.perf_counter() - _BEGIN:.0f} s: {what}", flush=True)


def _loads(averages: tuple[float, float, float]) -> str:
    return " ".join(f"{average:.1f}" for average in averages)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NAME")
    parser.add_argument("--contenders", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--without", nargs="+", choices=CONTENDERS, default=[], help="leave these out")
    parser.add_argument("--batch", type=int, help="images per step; default: 512 tiny static, 128 the other")
    parser.add_argument("--threads", nargs="+", type=int, default=[2, 1])
    parser.add_argument("--rounds", type=int, default=20, help="timed steps of each contender, at most")
    parser.add_argument("--seconds", type=float, default=30, help="after which no new round begins")
    parser.add_argument("--quick", action="store_true", help="few steps, to try it out")
    parser.add_argument("--name", default="training", help="of the files under benchmarks/results/")
    options = parser.parse_args()
    options.curve = CURVE
    if options.quick:
        options.rounds, options.seconds, options.curve = 2, 0.0, 3
    # As the train command does; it serves every contender.
    keep_freed_memory()
    before = os.getloadavg()
    options.rates = {}
    for threads in options.threads:
        torch.set_num_threads(threads)
        options.rates[str(threads)] = ceilings(3 if options.quick else 15)
    wanted = [name for name in options.contenders if name not in options.without]
    skip = missing(wanted)
    names = [name for name in wanted if name not in skip]
    results = [network_results(network, options, names) for network in options.networks]
    torch.set_num_threads(max(options.threads))
    loads = [loading(*loader, options.quick) for loader in LOADERS]
    _say("loading measured")
    after = os.getloadavg()
    notes = [
        "original: the 2019 method, stated anew (benchmarks.peers.original_training); auto: what a user gets",
        "forward, backward, optimiser, selection: ms; the original selects in its forward pass",
        "peak: most resident memory of a process that trains three steps; own: without what imports take",
        f"losses: largest relative difference from dense in the first {options.curve} steps, same seed",
        *(f"{each['network']}: batch {each['batch']}, images of {each['images']}" for each in results),
        *(agreement(each) for each in results if "one_by_one" in each),
        *(
            f"{each['network']}, auto: " + ", ".join(f"{n} {b}" for n, b in each["backends"]["auto"].items())
            for each in results
            if "auto" in each["backends"]
        ),
        *(
            f"loading and augmenting, {each['data']}, batch {each['batch']}: {each['loader'] * 1e3:.2f} ms "
            f"beside {each['step'] * 1e3:.0f} ms of training, {each['share']:.1%}"
            for each in loads
        ),
        *(f"{name}: left out, {reason}" for name, reason in skip.items()),
        f"load average before {_loads(before)}, after {_loads(after)} ({os.cpu_count()} cores)",
        *(
            f"{threads} threads: sgemm {rate['sgemm']:.0f} GFLOP/s, memory read {rate['read']:.1f} and "
            f"copy {rate['copy']:.1f} GB/s"
            for threads, rate in options.rates.items()
        ),
    ]
    data = {"missing": skip, "load": {"before": before, "after": after}, "ceilings": options.rates}
    data |= {"networks": results, "loading": loads, "notes": notes}
    header = ["network", "threads", "contender", "s per step", "images/s", "times the original", *PARTS]
    header += ["peak, MiB", "own, MiB", "losses"]
    write_results(options.name, "A training step, median", header, rows(results), data, notes)
    header = [
        "network",
        "threads",
        "part",
        "ms",
        "share",
        "GFLOP",
        "MB",
        "at least, ms",
        "bound by",
        "reached",
    ]
    title = "What a step of ours is made of"
    parts = {
        each["network"]: {threads: cell.get("step_parts") for threads, cell in each["threads"].items()}
        for each in results
    }
    write_results(f"{options.name}_parts", title, header, part_rows(results), parts, notes)


if __name__ == "__main__":
    main()
