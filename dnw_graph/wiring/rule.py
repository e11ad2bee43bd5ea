"""What a rewiring rule is, and the registry of rules."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar, get_args

from torch import Generator, Tensor

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Stage
from dnw_graph.wiring.selection import Threshold

Reach = Literal["candidates", "selected"]


@dataclass(frozen=True)
class StageView:
    """What a rule sees of one stage.

    name      of the stage, for messages
    stage     levels, blocks and numbering; `stage.ends(ids)` gives the ends of edges
    weight    [E] float, detached: one per candidate edge
    k         edge budget
    current   [<= k] int64, ids of the present wiring; empty before the first
    gradient  [E] float or None: of the last step
    step      optimiser steps done
    generator on the CPU, seeded from the run's seed, the stage and the step, for rules that draw
    threshold of the stage's own, for `strongest(score, k, view.threshold)`: faster, with the same result
    """

    name: str
    stage: Stage
    weight: Tensor
    k: int
    current: Tensor
    gradient: Tensor | None
    step: int
    generator: Generator
    threshold: Threshold = field(default_factory=Threshold)


class Rule:
    """Chooses the wiring from the candidate weights and says which edges receive gradient.

    The simple rule implements `select`. One that needs more overrides `choose`, which sees the
    whole `StageView`; `effective` for the values used on edges; `after_step` for a hook; `state_dict` and
    `load_state_dict` if it remembers something. All stages of a network share one rule object.

    reach    "candidates": every candidate edge gets ∂L/∂w = Σ g_v h_u, selected or not
             (straight-through); "selected": only the edges of the wiring do
    rewires  whether `choose` runs after each optimiser step, or only once, at the start
    """

    reach: Reach = "candidates"
    rewires: bool = True

    def select(self, weight: Tensor, k: int) -> Tensor:
        """weight [E] float → ids of the selected edges [<= k] int64."""
        raise TypeError(f"rule {type(self).__name__} defines neither select nor choose")

    def choose(self, view: StageView) -> Tensor:
        """The next wiring of one stage: ids [<= k] int64, each once."""
        return self.select(view.weight, view.k)

    def effective(self, weight: Tensor) -> Tensor:
        """Candidate weights [n] → the values that messages are multiplied by [n]; differentiable."""
        return weight

    def after_step(self, view: StageView) -> None:
        """Called for each stage after the optimiser's step, once the new wiring is `view.current`."""

    def state_dict(self) -> Mapping[str, Tensor]:
        """What the rule remembers between steps, tensors by name; every checkpoint saves it."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Take back what `state_dict` gave, on the CPU; called where it was not empty."""
        raise TypeError(f"rule {type(self).__name__} defines state_dict without load_state_dict")


_RULES: dict[str, type[Rule]] = {}
RuleType = TypeVar("RuleType", bound=type[Rule])


def register(name: str) -> Callable[[RuleType], RuleType]:
    """Class decorator: the rule can then be named in a config as `model.rule`."""

    def keep(rule: RuleType) -> RuleType:
        if not (isinstance(rule, type) and issubclass(rule, Rule)):
            raise InputError(f"rule {name!r} is no class of rules; derive it from dnw_graph.wiring.Rule")
        taken = _RULES.get(name)
        # The same file may be loaded twice; another file's class is another rule.
        if taken is not None and _identity(taken) != _identity(rule):
            raise InputError(
                f"rule name {name!r} is taken by {'.'.join(_identity(taken))}; choose another name"
            )
        _RULES[name] = rule
        return rule

    return keep


def _identity(rule: type[Rule]) -> tuple[str, str]:
    return rule.__module__, rule.__qualname__


def registered_rules() -> dict[str, type[Rule]]:
    """All rules by name."""
    return dict(_RULES)


def rule_names() -> list[str]:
    """Names of all registered rules, sorted."""
    return sorted(_RULES)


def make_rule(name: str) -> Rule:
    """A new rule of that name; InputError with the nearest name if there is none."""
    if name not in _RULES:
        near = difflib.get_close_matches(name, _RULES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known rules: {', '.join(rule_names())}"
        raise InputError(
            f"model.rule {name!r} is not a known rule; {hint} (--plugin FILE adds rules of your own)"
        )
    rule = _RULES[name]()
    if type(rule).select is Rule.select and type(rule).choose is Rule.choose:
        raise InputError(f"model.rule {name!r} chooses nothing; define select(weight, k) or choose(view)")
    if rule.reach not in get_args(Reach):
        raise InputError(f"model.rule {name!r} has reach {rule.reach!r}; use 'candidates' or 'selected'")
    return rule
