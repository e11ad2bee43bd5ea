"""Top-k selection of candidate weights that move a little from step to step, beside torch's sort and topk.

python -m benchmarks.training.selection [--rounds 15] [--threads 1]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle

import torch
from torch import Tensor

from benchmarks.common.timing import interleaved, write_results
from dnw_graph.graph.budget import edges_for_width
from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.models.mobilenet_v1 import PUBLISHED_BLOCKS
from dnw_graph.wiring import Threshold, strongest

STEPS = 4
# Relative size of a step: momentum 0.9, learning rate 0.1 and weight decay 1e-4 alone move weights by 1e-4.
MOVE = 1e-3


@dataclass
class Weights:
    """Candidate weights of one stage in consecutive steps, of which every call sees the next."""

    size: int
    k: int
    last: Threshold = field(default_factory=Threshold)

    def __post_init__(self) -> None:
        start = torch.randn(self.size)
        steps = [start + MOVE * number * torch.randn(self.size) for number in range(STEPS)]
        # There and back again, so that all steps are small.
        self._next = cycle([*steps, *steps[-2:0:-1]])

    def next(self) -> Tensor:
        return next(self._next)


def cases() -> dict[str, list[Weights]]:
    stages = chain_of_stages(PUBLISHED_BLOCKS).stages
    sizes = [(stage.num_candidates, edges_for_width(0.225, stage.dense_edges)) for stage in stages]
    return {
        "tiny static: 32,000 of 264,960": [Weights(264_960, 32_000)],
        "ImageNet ×0.225: five stages": [Weights(size, k) for size, k in sizes],
        "2019's largest stage: 72,991 of 8,650,752": [Weights(8_650_752, 72_991)],
    }


METHODS: dict[str, Callable[[Weights], object]] = {
    "dnw-graph, from the last threshold": lambda each: strongest(each.next(), each.k, each.last),
    "dnw-graph, without one": lambda each: strongest(each.next(), each.k),
    "torch.topk": lambda each: torch.topk(each.next().abs(), each.k, sorted=False),
    "torch.sort": lambda each: torch.sort(each.next().abs()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    rows, data = [], {}
    for case, weights in cases().items():
        for each in weights:
            score = each.next()
            assert torch.equal(strongest(score, each.k, each.last), strongest(score, each.k))
        contenders = {
            name: (lambda method=method, weights=weights: [method(each) for each in weights])
            for name, method in METHODS.items()
        }
        data[case] = seconds = interleaved(contenders, arguments.rounds)
        rows += [
            [case, name, f"{value * 1e3:.2f}", f"{value / seconds['torch.sort']:.1%}"]
            for name, value in seconds.items()
        ]
    threads = f"{arguments.threads} thread{'s' if arguments.threads > 1 else ''}"
    write_results(
        "selection",
        f"Selecting the strongest candidate weights, {threads}",
        ["weights", "method", "ms (median)", "share of torch.sort"],
        rows,
        data,
        [
            f"Each call sees weights that moved by {MOVE:g} of their standard deviation since the last.",
            "Ours gives ascending ids and lets the lowest win a tie; torch.topk promises neither.",
        ],
    )


if __name__ == "__main__":
    main()
