"""From a run directory back to its network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from torch import nn

from dnw_graph.arguments import one_of, path_of
from dnw_graph.config.files import override_list
from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.registry import build_model
from dnw_graph.runs.checkpoint import read_state, read_tensors
from dnw_graph.runs.directory import config_of, locate_checkpoint
from dnw_graph.runs.plugins import plugin_hint
from dnw_graph.runs.run import Run
from dnw_graph.runs.weights import load_weights, restore_wiring_facts

_FREE_IN_USE = {
    "model.backend",
    "training.device",
    "training.eval_batch_size",
    "training.precision",
    "training.threads",
}


def load_run(path: str | Path, *, checkpoint: str | None = None, overrides: Iterable[str] = ()) -> Run:
    """A trained network with all that is needed to use it: the network that the run's scores count for.

    path        a run directory, a checkpoint in it, or hf://user/name[@revision], on the Hugging Face Hub
    checkpoint  which one of a run directory: best or last; None: the best, where one was chosen, or the last
    overrides   "section.key=value", changes to the run's configuration
    `model.facts` of a wired network names the classes and the preprocessing of the run's images.
    A rule from a plugin must have been loaded before. Raises InputError for what is missing or damaged.
    """
    overrides = override_list(overrides)
    refuse_other_networks(overrides)
    if checkpoint is not None:
        one_of(checkpoint, ("best", "last"), "checkpoint")
    directory = locate_checkpoint(path_of(path, "run"), checkpoint)
    state = read_state(directory)
    try:
        cfg = config_of(state, directory, overrides)
        model: nn.Module = build_model(cfg)
    except InputError as error:
        if plugins := state.get("plugins"):
            raise InputError(f"{directory}: {plugin_hint(plugins)} ({error})") from error
        raise
    group = state.get("evaluated", "model")
    load_weights(model, read_tensors(directory, group, state), directory / f"{group}.safetensors")
    restore_wiring_facts(model, state.get("wiring"), directory / "state.json")
    if isinstance(model, WiredNetwork):
        names, preprocessing = state.get("class_names"), state.get("preprocessing")
        model.facts = replace(model.facts, class_names=names, preprocessing=preprocessing)
    return Run(cfg, model.eval(), directory, state)


def refuse_other_networks(overrides: Iterable[str]) -> None:
    """Raise InputError for an override that a trained network cannot follow, or that would mean nothing."""
    for override in overrides:
        key = override.partition("=")[0].strip()
        if not key.startswith("data.") and key not in _FREE_IN_USE:
            raise InputError(
                f"--set {override}: a trained network is what it is; only data.* and "
                f"{', '.join(sorted(_FREE_IN_USE))} can be changed here."
            )
