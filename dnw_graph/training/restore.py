"""From a checkpoint back to a network, or to a run in progress."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.registry import build_model
from dnw_graph.training import random_state
from dnw_graph.training.checkpoint import read_state, read_tensors
from dnw_graph.training.config import override_list
from dnw_graph.training.learner import Learner
from dnw_graph.training.plugins import plugin_hint
from dnw_graph.training.run_directory import config_of, locate_checkpoint
from dnw_graph.training.schema import Config
from dnw_graph.training.state import Position, damaged
from dnw_graph.training.weights import load_weights, restore_wiring_facts

_FREE_IN_USE = {
    "model.backend",
    "training.device",
    "training.eval_batch_size",
    "training.precision",
    "training.threads",
}


def load_run(
    path: str | Path, *, checkpoint: str = "best", overrides: Iterable[str] = ()
) -> tuple[Config, nn.Module]:
    """(configuration, network in evaluation mode) of a run: the network that its scores count for.

    path        a run directory, or a checkpoint in it
    checkpoint  which one of a run directory: best or last
    overrides   "section.key=value", changes to the run's configuration
    `metadata` of a wired network names the classes and the preprocessing of the run's images.
    A rule from a plugin must have been loaded before. Raises InputError for what is missing or damaged.
    """
    overrides = override_list(overrides)
    refuse_other_networks(overrides)
    directory = locate_checkpoint(path, checkpoint)
    state = read_state(directory)
    cfg = config_of(state, directory, overrides)
    try:
        model: nn.Module = build_model(cfg)
    except InputError as error:
        if plugins := state.get("plugins"):
            raise InputError(f"{directory}: {plugin_hint(plugins)} ({error})") from error
        raise
    group = state.get("evaluated", "model")
    load_weights(model, read_tensors(directory, group, state), directory / f"{group}.safetensors")
    restore_wiring_facts(model, state.get("wiring"), directory / "state.json")
    if isinstance(model, WiredNetwork):
        model.metadata |= {name: state.get(name) for name in ("class_names", "preprocessing")}
    return cfg, model.eval()


def refuse_other_networks(overrides: Iterable[str]) -> None:
    """Raise InputError for an override that a trained network cannot follow, or that would mean nothing."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if not key.startswith("data.") and key not in _FREE_IN_USE:
            raise InputError(
                f"--set {override}: a trained network is what it is; only data.* and "
                f"{', '.join(sorted(_FREE_IN_USE))} can be changed here."
            )


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
