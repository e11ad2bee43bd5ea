"""Two checkouts of this project, timed in turn: is what was built since as fast as before?

    python -m benchmarks.commits OLD NEW [--rounds 30] [--threads 2] [--only WORDS]

OLD, NEW  folders of checkouts whose C kernels are built (`python setup.py build_ext --inplace`)

Each checkout runs in a process of its own; the two take turns, call by call: a busy machine slows both.
Prints the median of new/old over the rounds for each kind of work: below 1, the new one is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

TRAINING = {"tiny static, batch 128": ("fashion_mnist/tiny_static_dnw", 128, 32)}
TRAINING |= {"MobileNetV1-like ×0.225 at 32 pixels, batch 64": ("cifar10/dnw_x0.225", 64, 32)}
INFERENCE = {
    "ImageNet ×0.225, batch 1": ("imagenet/random_x0.225", 1, 224),
    "ImageNet ×0.225, batch 8": ("imagenet/random_x0.225", 8, 224),
    "tiny static, batch 1": ("fashion_mnist/tiny_static_dnw", 1, 32),
    "tiny static, batch 128": ("fashion_mnist/tiny_static_dnw", 128, 32),
}
BACKENDS = ("native", "csr")


def work() -> dict[str, Callable[[], object]]:
    """Every kind of work by name, ready to be called; in the checkout that PYTHONPATH names."""
    import torch

    import dnw_graph as dg

    def model_of(config: str) -> torch.nn.Module:
        return dg.build_model(dg.load_config(Path(os.environ["CHECKOUT"]) / "configs" / f"{config}.yaml"))

    calls: dict[str, Callable[[], object]] = {}
    for name, (config, batch, side) in TRAINING.items():
        model = model_of(config).train()
        optimiser = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
        images, labels = torch.randn(batch, 3, side, side), torch.randint(10, (batch,))

        def step(model=model, optimiser=optimiser, images=images, labels=labels) -> None:  # type: ignore[no-untyped-def]
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
            model.rewire(1)

        calls[f"training step, {name}"] = step
    for name, (config, batch, side) in INFERENCE.items():
        model, images = model_of(config).eval(), torch.randn(batch, 3, side, side)
        for backend in BACKENDS:
            network = dg.compile(model, backend)
            calls[f"inference, {backend}, {name}"] = lambda network=network, images=images: network(images)
    return calls


def serve() -> None:
    """Answer each name on standard input with the seconds of one call."""
    import time

    import torch

    torch.set_num_threads(int(os.environ["THREADS"]))
    torch.manual_seed(0)
    calls = work()
    for _ in range(3):
        for call in calls.values():
            call()
    print(json.dumps(list(calls)), flush=True)
    for line in sys.stdin:
        call = calls[line.strip()]
        call()
        start = time.perf_counter()
        call()
        print(time.perf_counter() - start, flush=True)


class Checkout:
    """A process that serves the work of one checkout."""

    def __init__(self, folder: Path, threads: int) -> None:
        environment = os.environ | {
            "PYTHONPATH": str(folder.resolve()),
            "CHECKOUT": str(folder.resolve()),
            "THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve()), "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        )
        self.names: list[str] = json.loads(self._answer())

    def seconds(self, name: str) -> float:
        to = self.process.stdin
        assert to is not None
        print(name, file=to, flush=True)
        return float(self._answer())

    def _answer(self) -> str:
        source: IO[str] | None = self.process.stdout
        assert source is not None
        line = source.readline()
        if not line:
            raise SystemExit("a checkout stopped before it answered; its message is above")
        return line


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rounds", type=int, default=30, help="calls of each kind, by each checkout")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", default="", help="kinds of work whose name has this")
    options = parser.parse_args()
    pair = [Checkout(folder, options.threads) for folder in (options.old, options.new)]
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {options.threads} threads")
    print(f"{'old ms':>9} {'new ms':>9} {'new/old':>8}  median of {options.rounds} rounds")
    for name in (each for each in pair[0].names if options.only in each):
        rounds = []
        for number in range(options.rounds):
            first = number % 2
            times = {place: pair[place].seconds(name) for place in (first, 1 - first)}
            rounds.append((times[0], times[1]))
        old, new = (statistics.median(column) for column in zip(*rounds, strict=True))
        ratio = statistics.median(after / before for before, after in rounds)
        print(f"{1e3 * old:9.3f} {1e3 * new:9.3f} {ratio:8.3f}  {name}", flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
