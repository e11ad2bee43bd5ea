"""What a rewiring rule is, and the registry of rules."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeVar, get_args

import torch
from torch import Generator, Tensor

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Stage
from dnw_graph.wiring.selection import Threshold, highest
from dnw_graph.wiring.settings import settings_of

Reach = Literal["candidates", "selected"]


@dataclass(frozen=True)
class StageView:
    """What a rule sees of one stage.

    name      of the stage, for messages
    stage     levels, blocks and numbering; `stage.ends(ids)` gives the ends of edges
    weight    [E] float, detached: one per candidate edge
    k         edge budget
    current   [<= k] int64, ids of the present wiring; empty before the first
    previous  [<= k] int64, ids of the wiring before the last choice; `current` while choosing
    gradient  [E] float or None: of the last step
    step      optimiser steps done
    generator on the CPU, seeded from the run's seed, the stage and the step, for rules that draw
    threshold of the stage's own, for `highest(score, k, view.threshold)`: faster, with the same result
    """

    name: str
    stage: Stage
    weight: Tensor
    k: int
    current: Tensor
    previous: Tensor
    gradient: Tensor | None
    step: int
    generator: Generator
    threshold: Threshold = field(default_factory=Threshold)

    @property
    def entered(self) -> Tensor:
        """[E] bool: the edges that came into the wiring with the last choice; none if it was the first."""
        return entered_edges(self.previous, self.current, self.weight)


def entered_edges(before: Tensor, after: Tensor, weight: Tensor) -> Tensor:
    """[E] bool: which candidates are in the wiring `after`, but not in `before`; none if that was empty."""
    entered = torch.zeros_like(weight, dtype=torch.bool)
    if before.numel():
        entered[after] = True
        entered[before] = False
    return entered


class Rule:
    """Chooses the wiring from the candidate weights and says which edges see gradient and learn.

    The simple rule implements `score`, of which the k highest run, or `select`, which gives ids. One that
    needs more overrides `choose`; `sees` for when edges outside the wiring get gradient; `effective` for the
    values used on edges; `after_step` for a hook; `state_dict` and `load_state_dict` if it remembers
    something. All stages of a network share one rule object.

    reach    which weights see a gradient. "candidates": every candidate edge gets ∂L/∂w = Σ g_v h_u,
             selected or not (straight-through); "selected": only the edges of the wiring do
    learns   which weights the optimiser changes: all "candidates" (those that see no gradient by decay and
             momentum alone), or only the "selected"; the others then stay what they are
    forgets  whether the optimiser's memory of edges that enter (momentum, moments) starts at 0
    rewires  whether `choose` runs after each optimiser step, or only once, at the start
    Settings a pydantic class that checks `model.rule_options`; None: the rule takes none
    settings its instance, once the rule is made; not yet in `__init__`
    """

    reach: Reach = "candidates"
    learns: Reach = "candidates"
    forgets: bool = False
    rewires: bool = True
    Settings: ClassVar[Any] = None
    settings: Any = None

    def score(self, view: StageView) -> Tensor:
        """→ [E] float: the k highest run, the lowest id first in a tie."""
        raise TypeError(f"rule {type(self).__name__} defines no score")

    def select(self, weight: Tensor, k: int) -> Tensor:
        """weight [E] float → ids of the selected edges [<= k] int64."""
        raise TypeError(f"rule {type(self).__name__} defines neither select nor choose nor score")

    def choose(self, view: StageView) -> Tensor:
        """The next wiring of one stage: ids [<= k] int64, each once.

        By `score` or `select`, whichever the rule's own class, or the nearest above it, defines.
        """
        if not _scores(type(self)):
            return self.select(view.weight, view.k)
        score, wanted = self.score(view), view.weight.shape
        is_tensor = isinstance(score, Tensor)
        if not is_tensor or score.shape != wanted or not score.is_floating_point():
            found = f"{score.dtype} {list(score.shape)}" if is_tensor else type(score).__name__
            raise InputError(
                f"rule {type(self).__name__}: score gave {found} for {view.name}; floats {list(wanted)} "
                "wanted, one per candidate edge"
            )
        return highest(score, view.k, view.threshold)

    def sees(self, step: int) -> bool:
        """Whether edges outside the wiring get gradient in step `step`, from 0 (of reach "candidates")."""
        return True

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


def _scores(kind: type[Rule]) -> bool:
    """Whether a class of rules chooses by `score`, and not by `select`."""
    nearest = next(each for each in kind.__mro__ if {"score", "select"} & set(vars(each)))
    return nearest is not Rule and "score" in vars(nearest)


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


def make_rule(name: str, options: Mapping[str, Any] | None = None) -> Rule:
    """A new rule of that name, with its settings made of `model.rule_options`.

    Raises InputError, with the nearest name if there is no such rule or option.
    """
    if name not in _RULES:
        near = difflib.get_close_matches(name, _RULES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known rules: {', '.join(rule_names())}"
        raise InputError(
            f"model.rule {name!r} is not a known rule; {hint} (--plugin FILE adds rules of your own)"
        )
    rule = _RULES[name]()
    kind = type(rule)
    if (kind.score, kind.select, kind.choose) == (Rule.score, Rule.select, Rule.choose):
        raise InputError(
            f"model.rule {name!r} chooses nothing; define score(view), select(weight, k) or choose(view)"
        )
    for key in ("reach", "learns"):
        if (value := getattr(rule, key)) not in get_args(Reach):
            raise InputError(f"model.rule {name!r} has {key} {value!r}; use 'candidates' or 'selected'")
    rule.settings = settings_of(name, kind.Settings, options or {})
    return rule
