"""What `benchmarks/gpu.py` found, as one Markdown table and notes."""

from __future__ import annotations

from typing import Any

Table = tuple[str, list[str], list[list[str]], list[str]]
HEADER = ["what", "size", "format", "contender", "ms", "beside dense", "of the ceiling", "peak MiB"]


def tables(found: dict[str, Any]) -> Table:
    """(title, header, rows, notes) for `timing.write_results`."""
    device, ceilings = found["device"], _ceilings(found)
    rows = []
    for record in found["messages"]:
        size = f"{record['network']}: {record['block']}, {record['edges']:,} edges"
        rows += _kernel_rows(record["product"], size, record, ceilings, "dense")
    for record in found["nodes"]:
        rows += _kernel_rows(f"node operation, {record['part']}", record["maps"], record, ceilings, "torch")
    rows += _step_rows(found["steps"])
    title = f"GPU: {device['name']}"
    return title, HEADER, rows, _notes(found)


def _ceilings(found: dict[str, Any]) -> dict[str, float]:
    """What was measured of them; nothing if that failed."""
    return found["ceilings"][0] if found["ceilings"] else {}


def _kernel_rows(
    what: str, size: str, record: dict[str, Any], ceilings: dict[str, float], reference: str
) -> list[list[str]]:
    """The ceiling is a copy of the rows that must be read and written at least once."""
    copy = ceilings.get("copy GB/s")
    least = record["least bytes"] / (1e9 * copy) if copy else None
    base = record["seconds"].get(reference)
    rows = [
        [
            what,
            size,
            record["format"],
            name,
            _ms(seconds),
            _ratio(base, seconds),
            "" if least is None else f"{least / seconds:.0%}",
            "",
        ]
        for name, seconds in record["seconds"].items()
    ]
    return rows + [[what, size, record["format"], name, "—", "", "", ""] for name in record["not run"]]


def _step_rows(records: list[dict[str, Any]]) -> list[list[str]]:
    rows = []
    for record in records:
        same = ("kind", "network", "batch", "format")
        twins = [each for each in records if all(each[key] == record[key] for key in same)]
        base = next((each["seconds"] for each in twins if each["contender"] == "dense"), None)
        seconds, peak = record["seconds"], record["peak bytes"]
        size = f"{record['network']}, {record['batch']} images"
        rows.append(
            [
                record["kind"],
                size,
                record["format"],
                record["contender"],
                "—" if seconds is None else _ms(seconds),
                "" if seconds is None else _ratio(base, seconds),
                "",
                "" if peak is None else f"{peak / 2**20:.0f}",
            ]
        )
    return rows


def _notes(found: dict[str, Any]) -> list[str]:
    device, failed = found["device"], [each for each in found["checks"] if not each["within"]]
    notes = [", ".join(f"{key} {value}" for key, value in device.items())]
    notes.append("ceilings: " + ", ".join(f"{name} {value:,.1f}" for name, value in _ceilings(found).items()))
    notes.append(
        f"checks against float64: {len(found['checks']) - len(failed)} of {len(found['checks'])} passed"
    )
    notes += [
        f"OFF: {each['what']} in {each['dtype']}: "
        + (each.get("reason") or f"{each['error']:.1e} > {each['limit']:.0e}")
        for each in failed
    ]
    notes += [f"FAILED: {each['what']}: {each['traceback'].splitlines()[-1]}" for each in found["errors"]]
    for record in found["tiles"]:
        if not record["seconds"]:
            continue
        best = min(record["seconds"], key=record["seconds"].get)
        chosen = record["seconds"].get(record["chosen"])
        beside = "" if chosen is None else f", {chosen / record['seconds'][best]:.2f} × its time"
        notes.append(
            f"tile (edges, columns, warps) of {record['block']} in {record['dtype']}: best {best}, "
            f"chosen {record['chosen']}{beside}"
        )
    if found["device"].get("CUDA"):
        notes += [
            f"a training step of {each['network']} by {each['backend']} "
            + (f"waits for the device: {each['waits']}" if each["waits"] else "never waits for the device")
            for each in found["waiting"]
        ]
    notes += [f"not run: {reason}" for reason in sorted(_not_run(found))]
    if not found["complete"]:
        notes.append("the minutes ran out before everything was measured")
    notes.append(
        "a copy is the ceiling of kernels; peak memory is what a call takes beside parameters and images"
    )
    return notes


def _not_run(found: dict[str, Any]) -> set[str]:
    steps = {
        f"{each['kind']} of {each['network']} with {each['batch']} images by {each['contender']}, "
        f"{each['format']}: {each['not run']}"
        for each in found["steps"]
        if each["not run"]
    }
    kernels = {
        f"{name}, {each['format']}: {reason}"
        for part in ("messages", "nodes")
        for each in found[part]
        for name, reason in each["not run"].items()
    }
    return steps | kernels


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3f}"


def _ratio(base: float | None, seconds: float) -> str:
    return "" if base is None else f"{base / seconds:.2f} ×"
