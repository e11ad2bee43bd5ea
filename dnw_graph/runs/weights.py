"""Putting saved weights into a network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork


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


def wiring_facts(model: nn.Module) -> dict[str, Any] | None:
    """What a wired network knows besides tensors, JSON-able: budgets and metadata. None for others."""
    if not isinstance(model, WiredNetwork):
        return None
    return {"budgets": model.budgets(), "metadata": model.metadata}


def restore_wiring_facts(model: nn.Module, facts: Mapping[str, Any] | None, source: Path | str) -> None:
    """Give a network back what `wiring_facts` took; an imported one has its file's budgets.

    Raises InputError, naming `source`, for budgets that the network's stages cannot have.
    """
    if isinstance(model, WiredNetwork) and facts:
        for name, stage in model.wired_stages():
            budget, most = facts["budgets"].get(name), stage.stage.num_candidates
            if budget is None or not stage.selected.numel() <= budget <= most:
                raise _foreign(model, source, f"wiring.budgets gives {name} {budget} of {most} edges")
        model.set_budgets(facts["budgets"])
        model.metadata.update(facts["metadata"])


def _foreign(model: nn.Module, source: Path | str, difference: str) -> InputError:
    return InputError(
        f"{source}: does not fit the network {type(model).__name__} of the configuration ({difference}); use "
        "the configuration it was trained with."
    )
