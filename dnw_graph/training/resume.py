"""Going on with a run from where its checkpoint stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dnw_graph.errors import InputError
from dnw_graph.runs.checkpoint import read_state
from dnw_graph.runs.state import Position, damaged
from dnw_graph.training import random_state
from dnw_graph.training.learner import Learner


def restore_session(directory: Path, learner: Learner) -> tuple[Position, int]:
    """Put a run back to where its checkpoint stands → (position, bytes of metrics.jsonl that belong to it).

    Raises InputError when the checkpoint is damaged, has no state of training, or was written by another
    number of processes.
    """
    path, state = directory / "state.json", read_state(directory)
    for name in ("ranks", "position", "metrics_bytes", "learner"):
        if state.get(name) is None:
            raise InputError(
                f"{path}: lacks {name}, which training needs to go on; use a checkpoint that training wrote."
            )
    _check_ranks(state["ranks"], learner.world.size, directory)
    learner.load(directory, state)
    try:
        random_state.restore(state["ranks"][learner.world.rank]["random"])
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"holds no state of random generators ({' '.join(str(error).split())})"
        raise damaged(path, what) from error
    return Position(**state["position"]), state["metrics_bytes"]


def _check_ranks(ranks: list[Mapping[str, Any]], processes: int, directory: Path) -> None:
    if len(ranks) != processes:
        raise InputError(
            f"{directory}: was written by {len(ranks)} processes and this run has {processes}; go on with "
            f"torchrun --nproc-per-node {len(ranks)}."
        )
