"""`dnw-graph info`: what is installed, what can run, and how to get what cannot."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib import metadata
from itertools import takewhile
from pathlib import Path
from typing import Any

import dnw_graph
from dnw_graph.commands import options
from dnw_graph.errors import InputError

HELP = "show versions, devices, message-passing backends, rules and networks"

EXAMPLES = """\
dnw-graph info
dnw-graph info runs/demo
dnw-graph info --config imagenet/dnw_x0.225 --json
"""

PACKAGES = ("torch", "triton", "dgl", "torchvision", "numpy", "networkx")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", metavar="RUN", nargs="?", help="also how this run's network trains and runs here, and why so"
    )
    options.add_config(parser, required=False)
    options.add_overrides(parser)
    options.add_plugins(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(args: argparse.Namespace) -> int:
    options.load_plugins(args)
    if args.run is not None and args.config is not None:
        raise InputError(f"RUN {args.run} and --config {args.config} are two networks; give one of them")
    report = collect()
    if args.run is not None or args.config is not None:
        from dnw_graph.commands.network_paths import paths

        report["network"] = paths(args)
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        show(report)
    return 0


def collect() -> dict[str, Any]:
    """Everything that is shown, as plain values. A part that cannot be looked at says why."""
    return {
        "versions": {"dnw_graph": dnw_graph.__version__, "python": platform.python_version(), **_packages()},
        "machine": {"platform": platform.platform(), **_cpu()},
        "cuda": _cuda(),
        "backends": _backends(),
        "auto": _auto(),
        "node_operations": _node_operations(),
        "rules": _rules(),
        "networks": _networks(),
    }


def _packages() -> dict[str, str | None]:
    versions: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def _cpu() -> dict[str, Any]:
    """Model, physical cores, hardware threads, and the threads this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cpu: dict[str, Any] = {"cpu": platform.processor() or platform.machine(), "cores": None}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        chips = [_chip(text) for text in cpuinfo.read_text().strip().split("\n\n")]
        cpu["cpu"] = chips[0].get("model name", cpu["cpu"])
        places = {(chip["physical id"], chip["core id"]) for chip in chips if "core id" in chip}
        cpu["cores"] = len(places) or None
    return cpu | {"threads": os.cpu_count(), "usable_threads": usable}


def _chip(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _cuda() -> dict[str, Any]:
    try:
        import torch
    except ImportError as error:
        return {"devices": [], "reason": f"torch cannot be imported ({error})"}
    if torch.version.cuda is None:
        reason = "this torch was built without CUDA; install a CUDA build, see README"
        return {"devices": [], "reason": reason}
    if not torch.cuda.is_available():
        return {"devices": [], "reason": "torch finds no CUDA device; check nvidia-smi and the driver"}
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    devices = [
        {
            "name": device.name,
            "capability": f"{device.major}.{device.minor}",
            "memory_gib": round(device.total_memory / 2**30, 1),
        }
        for device in found
    ]
    return {"devices": devices, "reason": None}


def _backends() -> list[dict[str, Any]]:
    """Name, whether it can run at all, and for each device present why it cannot run there in float32."""
    try:
        import torch

        from dnw_graph.message_passing import backends
    except ModuleNotFoundError as error:
        return [{"name": "all", "available": False, "reason": _missing(error), "devices": {}}]
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    report = []
    for backend in backends():
        reason = backend.reason()
        refusals = {name: reason or backend.refusal(torch.device(name), torch.float32) for name in devices}
        report.append(
            {"name": backend.name, "available": reason is None, "reason": reason, "devices": refusals}
        )
    return report


def _auto() -> dict[str, str]:
    """What backend `auto` means on each device present, and why."""
    try:
        import torch

        from dnw_graph.message_passing import auto_on_cuda
        from dnw_graph.message_passing.choice import reasons
    except ModuleNotFoundError as error:
        return {"cpu": _missing(error)}
    passed_over = reasons(torch.device("cpu"), torch.float32, 1, 10**6)
    sparse, before = _first(passed_over)
    meanings = {"cpu": f"{sparse} for sparse wirings in float32, as measured on CPUs, else dense"}
    meanings["cpu"] += "".join(f"; not {name}: {passed_over[name]}" for name in before)
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        meanings[f"cuda:{index}"] = auto_on_cuda.explanation(torch.device("cuda", index))
    return meanings


def _node_operations() -> dict[str, dict[str, str | None]]:
    """For each device, why each way to compute node operations in float32 is passed over; None: taken."""
    try:
        import torch

        from dnw_graph.graph.node_spec import NodeSpec
        from dnw_graph.node_operation import reasons
    except ModuleNotFoundError as error:
        return {"cpu": {"all": _missing(error)}}
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    return {name: reasons(torch.device(name), torch.float32, NodeSpec("batch")) for name in devices}


def _rules() -> list[str] | None:
    """Names of the registered rules; None if torch is missing."""
    try:
        from dnw_graph.wiring import rule_names
    except ModuleNotFoundError as error:
        _missing(error)
        return None
    return rule_names()


def _networks() -> list[str]:
    from dnw_graph.config.networks import NETWORKS

    return list(NETWORKS.entries)


def _missing(error: ModuleNotFoundError) -> str:
    """Why, if a package is not installed; a missing module of our own is a bug."""
    if error.name is None or error.name.startswith("dnw_graph"):
        raise error
    return f"{error.name} is not installed; pip install {error.name}"


def show(report: dict[str, Any]) -> None:
    """Tables of the report on stdout: two columns, no frames, so that they survive a pipe."""
    from rich.table import Table

    from dnw_graph.commands.terminal import console

    screen = console()

    def table(title: str, rows: list[tuple[str, str]]) -> None:
        grid = Table.grid(padding=(0, 2))
        for row in rows:
            grid.add_row("", *row)
        screen.print(title, style="bold")
        screen.print(grid)

    table("versions", [(name, version or "missing") for name, version in report["versions"].items()])
    machine = report["machine"]
    cores = (
        f"{machine['cores'] or '?'} cores, {machine['threads']} threads, {machine['usable_threads']} usable"
    )
    table("machine", [("platform", machine["platform"]), ("cpu", f"{machine['cpu']}: {cores}")])
    table("cuda", _cuda_rows(report["cuda"]))
    table("backends", [row for backend in report["backends"] for row in _backend_rows(backend)])
    table("backend auto", list(report["auto"].items()))
    table("node operations", [row for each in report["node_operations"].items() for row in _way_rows(*each)])
    for name, ways in report.get("network", {}).items():
        table(name, [row for each in ways.items() for row in _way_rows(*each)])
    names = {"rules": report["rules"] or ["unknown without torch"], "networks": report["networks"]}
    table("to name in a configuration", [(kind, ", ".join(each)) for kind, each in names.items()])


def _backend_rows(backend: dict[str, Any]) -> list[tuple[str, str]]:
    if not backend["available"]:
        return [(backend["name"], f"missing: {backend['reason']}")]
    usable = [device for device, refusal in backend["devices"].items() if refusal is None]
    rows = [(backend["name"], f"available on {', '.join(usable) or 'no device'}")]
    return rows + [("", f"not on {device}: {why}") for device, why in backend["devices"].items() if why]


def _way_rows(device: str, reasons: dict[str, str | None]) -> list[tuple[str, str]]:
    """The way that is taken, and why not those that come before it."""
    taken, before = _first(reasons)
    return [(device, taken), *(("", f"not {name}: {reasons[name]}") for name in before)]


def _first(reasons: dict[str, str | None]) -> tuple[str, list[str]]:
    """The first without a reason against it ("none": there is none), and those before it."""
    before = list(takewhile(lambda name: reasons[name] is not None, reasons))
    return (list(reasons)[len(before)] if len(before) < len(reasons) else "none"), before


def _cuda_rows(cuda: dict[str, Any]) -> list[tuple[str, str]]:
    if cuda["reason"]:
        return [("none", cuda["reason"])]
    return [
        (str(index), f"{each['name']}, capability {each['capability']}, {each['memory_gib']} GiB")
        for index, each in enumerate(cuda["devices"])
    ]
