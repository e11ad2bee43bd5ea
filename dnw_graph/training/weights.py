"""Putting saved weights into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from dnw_graph.errors import InputError


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Load a state dictionary; wired networks rebuild their wiring from the selected ids in it.

    Raises InputError, naming `source`, when the tensors are those of another network.
    """
    expected = set(model.state_dict())
    if missing := sorted(expected - set(tensors)):
        raise _foreign(model, source, f"lacks {missing[0]}")
    if unknown := sorted(set(tensors) - expected):
        raise _foreign(model, source, f"has {unknown[0]}")
    try:
        model.load_state_dict(tensors)
    except (RuntimeError, ValueError) as error:
        raise _foreign(model, source, " ".join(str(error).split())) from error


def _foreign(model: nn.Module, source: Path, difference: str) -> InputError:
    return InputError(
        f"{source}: does not fit the network {type(model).__name__} of the configuration ({difference}); use "
        "the configuration it was trained with."
    )
