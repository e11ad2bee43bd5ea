"""What `gradient.every` and `gradient.sample` save of a training step on a CPU.

    python -m benchmarks.training.gradient_options [--threads 2] [--rounds 16]

The same learner with other options, a step each in turn. With `every`, most steps are cheap and some are not:
means are compared, over a number of rounds that all of them divide.
"""

from __future__ import annotations

import argparse
import statistics

import torch

from benchmarks.common.timing import samples, write_results
from benchmarks.training.contenders import BATCH, Contender, configuration, images_of
from dnw_graph.training.distributed import World
from dnw_graph.training.learner import Learner
from dnw_graph.training.memory import keep_freed_memory

OPTIONS: dict[str, list[str]] = {
    "full": [],
    "every 2": ["gradient.every=2"],
    "every 4": ["gradient.every=4"],
    "sample 1/2": ["gradient.sample=0.5"],
    "sample 1/4": ["gradient.sample=0.25"],
    "every 2, sample 1/2": ["gradient.every=2", "gradient.sample=0.5"],
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=16, help="a multiple of 4")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()
    rows, data = [], {}
    for network, batch in BATCH.items():
        batches, _ = images_of(network, batch, 4)
        each = {}
        for name, overrides in OPTIONS.items():
            cfg = configuration(network, batch, "auto", overrides)
            each[name] = Contender(name, Learner(cfg, World(0, 1, torch.device("cpu"))), batches, 0.01)
        times = samples({name: one.step for name, one in each.items()}, options.rounds, warm_up=4, pause=0.01)
        means = {name: statistics.fmean(seconds) for name, seconds in times.items()}
        data[network] = {"batch": batch, "seconds": times}
        rows += [
            [network, name, f"{mean * 1e3:.0f}", f"{batch / mean:.0f}", f"{means['full'] / mean:.2f}"]
            for name, mean in means.items()
        ]
    header = ["network", "gradient to unselected edges", "ms a step", "images/s", "× full"]
    notes = [f"{options.threads} threads, means of {options.rounds} interleaved steps"]
    write_results("gradient_options", "Cheaper gradients to candidate edges", header, rows, data, notes)


if __name__ == "__main__":
    main()
