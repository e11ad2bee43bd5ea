"""A run directory for a network that came from elsewhere, as if its training were about to begin."""

from __future__ import annotations

from pathlib import Path

import torch

from dnw_graph.config.schema import Config
from dnw_graph.models.network import WiredNetwork
from dnw_graph.runs.checkpoint import write_checkpoint
from dnw_graph.runs.directory import RunDirectory
from dnw_graph.runs.lock import RunLock
from dnw_graph.runs.state import Position
from dnw_graph.runs.weights import restore_wiring_facts, wiring_facts
from dnw_graph.training import random_state
from dnw_graph.training.distributed import World
from dnw_graph.training.learner import Learner
from dnw_graph.training.session import checkpoint_state


def adopt(cfg: Config, model: WiredNetwork, run_dir: str | Path) -> Path:
    """Write `model` as the run that `cfg` would begin with; evaluate, count or fine-tune it like any other.

    Fine-tuning is `train --config RUN/config.yaml --run-dir RUN --resume auto`.
    Raises InputError if the directory is not empty or the network is not that of `cfg`.
    """
    run = RunDirectory(run_dir)
    run.check_place(None)
    with RunLock(run.path):
        run.check_place(None)
        learner = Learner(cfg, World(rank=0, size=1, device=torch.device("cpu")))
        learner.model.load_state_dict(model.state_dict())
        restore_wiring_facts(learner.model, wiring_facts(model), "the network")
        run.begin(cfg)
        run.metrics.touch()
        run.save_wiring(0, learner.model.wirings())
        ranks = [{"random": random_state.capture()} | learner.sums()]
        state = checkpoint_state(cfg, learner, Position(), ranks)
        write_checkpoint(run.checkpoint("last"), learner.tensors(0), state)
    return run.path
