"""What a rule remembers between steps, in checkpoints and for averaged weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork
from dnw_graph.wiring import Rule


def rule_state(model: nn.Module) -> dict[str, Tensor]:
    """`Rule.state_dict` of the rule that the network's stages share; empty for networks without one.

    Raises InputError if it is anything but tensors by name.
    """
    rule = _rule(model)
    state = {} if rule is None else rule.state_dict()
    named = isinstance(state, Mapping) and all(isinstance(name, str) for name in state)
    if not named or not all(isinstance(each, Tensor) for each in state.values()):
        raise InputError(
            f"rule {type(rule).__name__}: state_dict gave something else than tensors by name; "
            "wrap numbers in torch.tensor"
        )
    return dict(state)


def restore_rule_state(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the rule back what `rule_state` took; a rule that had nothing is left alone."""
    rule = _rule(model)
    if rule is not None and state:
        rule.load_state_dict(state)


def _rule(model: nn.Module) -> Rule | None:
    if not isinstance(model, WiredNetwork):
        return None
    return next(model.wired_stages())[1].rule
