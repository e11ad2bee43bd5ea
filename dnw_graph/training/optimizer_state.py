"""What an optimiser remembers between steps, in checkpoints: tensors, and plain values as JSON.

A tensor is named KEY.PARAMETER, momentum_buffer.stem.conv.weight for example. Taken back as it was, on the
device where it was, so that any optimiser goes on with the same bits.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dnw_graph.errors import InputError
from dnw_graph.runs.state import damaged


def optimizer_tensors(optimizer: Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """The tensors that the optimiser keeps for each parameter, by name."""
    return {name: value for name, _, value in _kept(optimizer, model) if isinstance(value, Tensor)}


def optimizer_values(optimizer: Optimizer, model: nn.Module) -> dict[str, Any]:
    """Everything else, JSON-able.

    values   what is kept for a parameter and is no tensor
    groups   settings of each group of parameters; optimisers that adapt them change these
    on_host  tensors that are on the CPU although their parameter is not
    Raises InputError for what is no plain value.
    """
    kept = list(_kept(optimizer, model))
    tensors = [(name, parameter, value) for name, parameter, value in kept if isinstance(value, Tensor)]
    state = {
        "values": {name: value for name, _, value in kept if not isinstance(value, Tensor)},
        "groups": [
            {key: value for key, value in group.items() if key != "params"}
            for group in optimizer.param_groups
        ],
        "on_host": [name for name, parameter, value in tensors if value.device != parameter.device],
    }
    try:
        json.dumps(state, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"optimizer.name: {type(optimizer).__name__} keeps what no checkpoint can hold ({error}); keep "
            "tensors by parameter, and plain finite values"
        ) from None
    return state


def restore_optimizer(
    optimizer: Optimizer,
    model: nn.Module,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any] | None,
    directory: Path,
) -> None:
    """Take back what the other two gave. Raises InputError for tensors or values of another network.

    state  None: a checkpoint of a version that stored tensors alone
    """
    path, parameters = directory / "optimizer.safetensors", dict(model.named_parameters())
    on_host = set(state["on_host"]) if state else set()
    for name, value in tensors.items():
        key, _, owner = name.partition(".")
        if owner not in parameters:
            raise damaged(path, f"has {name}, and the network has no parameter {owner}")
        parameter = parameters[owner]
        _check_shape(optimizer, key, owner, value, parameter, path)
        optimizer.state[parameter][key] = value if name in on_host else value.to(parameter.device)
    if state is None:
        return
    for name, value in state["values"].items():
        key, _, owner = name.partition(".")
        if owner not in parameters:
            raise damaged(directory / "state.json", f"learner.optimizer.values has {name}")
        optimizer.state[parameters[owner]][key] = value
    if len(state["groups"]) != len(optimizer.param_groups):
        raise damaged(
            directory / "state.json", f"learner.optimizer.groups has {len(state['groups'])} entries"
        )
    for group, saved in zip(optimizer.param_groups, state["groups"], strict=True):
        for key, plain in saved.items():
            # JSON has no tuples.
            is_tuple = isinstance(plain, list) and isinstance(group.get(key), tuple)
            setting = tuple(plain) if is_tuple else plain
            if key in group and not _alike(group[key], setting):
                raise damaged(directory / "state.json", f"learner.optimizer.groups has {key} {plain!r}")
            group[key] = setting


def _kept(optimizer: Optimizer, model: nn.Module) -> Iterator[tuple[str, Tensor, Any]]:
    """(name, parameter, value) of all that is kept and is not None."""
    for owner, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            if value is None:
                continue
            if not isinstance(key, str) or "." in key:
                raise InputError(
                    f"optimizer.name: {type(optimizer).__name__} keeps {key!r}, and no checkpoint can hold "
                    "that; name it by a word without a dot"
                )
            yield f"{key}.{owner}", parameter, value


def _alike(one: Any, other: Any) -> bool:
    numbers = [isinstance(each, (int, float)) and not isinstance(each, bool) for each in (one, other)]
    return all(numbers) or type(one) is type(other)


def _check_shape(
    optimizer: Optimizer, key: str, owner: str, value: Tensor, parameter: Tensor, path: Path
) -> None:
    """What torch's optimisers keep has the parameter's shape, or less of it; of others nothing is known."""
    if not type(optimizer).__module__.startswith("torch.optim"):
        return
    try:
        fits = torch.broadcast_shapes(value.shape, parameter.shape) == parameter.shape
    except RuntimeError:
        fits = False
    if not fits:
        raise InputError(
            f"{path}: {key} of {owner} has shape {list(value.shape)} instead of {list(parameter.shape)}; "
            "this checkpoint belongs to another network."
        )
