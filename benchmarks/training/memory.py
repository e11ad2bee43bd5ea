"""Peak memory of training, each contender in a process of its own.

python -m benchmarks.training.memory NETWORK CONTENDER BATCH THREADS STEPS   (prints JSON)
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.training.contenders import contender, images_of
from dnw_graph.dependencies import load_dgl
from dnw_graph.training.memory import keep_freed_memory

STEPS = 3
ROOT = Path(__file__).parents[2]


def measure(network: str, name: str, batch: int, threads: int) -> dict[str, int]:
    """Bytes resident after the imports, and the most after some steps: {"imports", "peak"}."""
    words = [
        sys.executable,
        "-m",
        "benchmarks.training.memory",
        network,
        name,
        str(batch),
        str(threads),
        str(STEPS),
    ]
    done = subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    return found


def _train(network: str, name: str, batch: int, steps: int) -> dict[str, int]:
    batches, _ = images_of(network, batch, 1)
    if name == "dgl":
        load_dgl()
    # What the first products of a process set up is no one's cost of training.
    torch.mm(torch.ones(64, 64), torch.ones(64, 64))
    gc.collect()
    _forget_the_peak()
    imports = _status("VmRSS")
    if name != "original":
        # As the train command does.
        keep_freed_memory()
    trained = contender(name, network, batch, batches)
    for _ in range(steps):
        trained.step()
    return {"imports": imports, "peak": _status("VmHWM")}


def _forget_the_peak() -> None:
    """Reading the images has taken more than what stays of them. Linux only, as is what follows."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"/proc/self/status has no {field}; memory is measured on Linux only")


def main() -> None:
    network, name, batch, threads, steps = sys.argv[1:]
    torch.set_num_threads(int(threads))
    print(json.dumps(_train(network, name, int(batch), int(steps))))


if __name__ == "__main__":
    main()
