"""The share of loading and augmenting images in a training step."""

from __future__ import annotations

import statistics
import time
from itertools import islice
from pathlib import Path
from typing import Any

import torch

import dnw_graph as dg
from dnw_graph.data import open_data
from dnw_graph.errors import InputError
from dnw_graph.training.distributed import World
from dnw_graph.training.learner import Learner

_CONFIGS = Path(__file__).parents[2] / "configs"
LOADERS = (
    ("fashion_mnist/tiny_static_dnw", 128),
    ("fashion_mnist/tiny_static_dnw", 512),
    ("digits/tiny_static_dnw", 64),
)


def loading(name: str, batch: int, quick: bool) -> dict[str, Any]:
    """Mean seconds of the loader per batch, its share of an epoch's beginning included, and of a step.

    name  of a configuration, whose data are augmented as it says
    share  of the loader in both together; 0 where the data are not here
    """
    cfg = dg.load_config(_CONFIGS / f"{name}.yaml", [f"training.batch_size={batch}", "training.device=cpu"])
    options = {"image_size": cfg.model.image_size, "num_classes": cfg.model.num_classes}
    options |= {"seed": cfg.training.seed}
    found = {"data": cfg.data.dataset, "batch": batch, "augment": cfg.data.augment}
    try:
        data: Any = open_data(cfg.data, **options).batches("train", batch)  # type: ignore[arg-type]
    except InputError as error:
        return found | {"missing": str(error), "loader": 0.0, "step": 0.0, "share": 0.0}
    learner = Learner(cfg, World(0, 1, torch.device("cpu")))
    steps = 5 if quick else 40
    loads: list[float] = []
    trains: list[float] = []
    epoch = 0
    while len(loads) < steps:
        batches = data.epoch(epoch)
        for _ in range(min(steps - len(loads), data.num_batches)):
            start = time.perf_counter()
            ((images, labels),) = islice(batches, 1)
            middle = time.perf_counter()
            learner.step(len(loads), [(images, labels)], cfg.optimizer.lr)
            loads.append(middle - start)
            trains.append(time.perf_counter() - middle)
        epoch += 1
    loader, step = statistics.median(loads), statistics.median(trains)
    loader += max(0.0, loads[0] - loader) / data.num_batches
    return found | {"loader": loader, "step": step, "share": loader / (loader + step)}
