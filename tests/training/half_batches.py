"""Three steps of one network on equal shares of one batch: run by torchrun on several ranks, or alone.

torchrun --nproc-per-node 2 half_batches.py FILE     FILE gets what rank 0 has learnt
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import torch
from safetensors.torch import save_file
from torch import Tensor

from dnw_graph.config import config_from_dict
from dnw_graph.models import registry
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.training.distributed import World, join
from dnw_graph.training.learner import Learner

IMAGES, CLASSES, STEPS = 12, 10, 3
RECIPE = {
    "model": {"network": "mobilenet_v1", "width": 0.6, "image_size": 32, "num_classes": CLASSES},
    "data": {"dataset": "digits"},
    "optimizer": {"lr": 0.2},
    "training": {"epochs": 1, "batch_size": IMAGES, "sync_norm": True, "threads": 1, "device": "cpu"},
}


def learnt(world: World) -> dict[str, Tensor]:
    """Parameters, running statistics and wirings after some steps, by name."""
    registry.WIRED["mobilenet_v1"] = partial(mobilenet_v1, blocks=((4, 6, 2, 2), (6, 8, 2, 2)))
    learner = Learner(config_from_dict(RECIPE), world)
    generator = torch.Generator().manual_seed(3)
    share = slice(world.rank, None, world.size)
    for step in range(STEPS):
        images = torch.randn(IMAGES, 3, 32, 32, generator=generator)
        labels = torch.randint(CLASSES, (IMAGES,), generator=generator)
        learner.step(step, [(images[share], labels[share])], lr=0.2)
        world.check_wirings(learner.model.wirings(), step)
    assert learner.swaps > 0
    return {name: value.detach().clone() for name, value in learner.model.state_dict().items()}


if __name__ == "__main__":
    with join("cpu") as together:
        state = learnt(together)
        if together.is_main:
            save_file(state, sys.argv[1])
    # Torch's DistributedDataParallel keeps gloo's threads beyond the end of their group (torch 2.13). Once in
    # some twenty times they abort a process that Python tears down: what was learnt is written, leave.
    os._exit(0)
