"""Top-k selection of the ImageNet network's 6.98 million candidate weights, beside a full sort.

python benchmarks/selection.py [--rounds 15]
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from timing import interleaved, write_results

from dnw_graph.graph.budget import edges_for_width
from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.models.mobilenet_v1 import PUBLISHED_BLOCKS
from dnw_graph.wiring import strongest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.manual_seed(0)
    stages = chain_of_stages(PUBLISHED_BLOCKS).stages
    weights = [torch.randn(stage.num_candidates) for stage in stages]
    budgets = [edges_for_width(0.225, stage.dense_edges) for stage in stages]

    def select() -> None:
        for weight, k in zip(weights, budgets, strict=True):
            strongest(weight, k)

    def topk() -> None:
        for weight, k in zip(weights, budgets, strict=True):
            torch.topk(weight.abs(), k, sorted=False)

    whole = torch.cat(weights)
    contenders = {
        "dnw-graph, exact top-k of all five stages": select,
        "torch.topk of all five stages": topk,
        "torch.sort of each stage": lambda: [torch.sort(weight.abs()) for weight in weights],
        "torch.sort of all weights": partial(torch.sort, whole),
    }
    seconds = interleaved(contenders, rounds)
    sort = seconds["torch.sort of all weights"]
    rows = [[name, f"{value * 1e3:.1f}", f"{value / sort:.1%}"] for name, value in seconds.items()]
    title = f"Selecting {sum(budgets):,} of {whole.numel():,} candidate weights"
    write_results("selection", title, ["method", "ms (median)", "share of torch.sort"], rows, seconds)


if __name__ == "__main__":
    main()
