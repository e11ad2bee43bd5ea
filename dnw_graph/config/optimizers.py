"""Which optimisers `optimizer.name` may name: torch's own and a plugin's.

Torch is imported when one is made.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from dnw_graph.errors import InputError
from dnw_graph.registry import Registry, nearest, resolve

Factory = TypeVar("Factory", bound=Callable[..., Any])


@dataclass(frozen=True)
class Optimiser:
    """One optimiser.

    make  a class like those of torch.optim, or its place "module:name"; called with parameter groups and lr,
          with weight_decay in each group, and with its options
    l2    whether its weight_decay is added to the gradient, as an L2 penalty is
    """

    make: str | Callable[..., Any]
    l2: bool


OPTIMIZERS: Registry[Optimiser] = Registry("optimizer.name", "optimiser")

for _name, _l2 in (
    ("SGD", True),
    ("Adam", True),
    ("AdamW", False),
    ("RMSprop", True),
    ("NAdam", True),
    ("RAdam", True),
    ("Adamax", True),
    ("Adagrad", True),
    ("Adadelta", True),
    ("Adafactor", False),
    ("ASGD", True),
):
    OPTIMIZERS.add(_name.lower(), Optimiser(f"torch.optim:{_name}", _l2), f"torch.optim:{_name}")


def register_optimizer(name: str, *, l2: bool = False) -> Callable[[Factory], Factory]:
    """Decorator of a class like those of torch.optim: a config can then name it as `optimizer.name`.

    Its constructor takes (params, lr, weight_decay) and, by name, what `optimizer.options` may give.
    l2  whether its weight_decay is added to the gradient; `optimizer.unselected_weight_decay` needs that
    """

    def keep(factory: Factory) -> Factory:
        if not callable(factory) or not {"lr", "weight_decay"} <= {*inspect.signature(factory).parameters}:
            raise InputError(
                f"optimiser {name!r} does not take lr and weight_decay; give it both, as in torch.optim"
            )
        OPTIMIZERS.add(name, Optimiser(factory, l2), factory)
        return factory

    return keep


def make_optimizer(
    name: str, groups: Iterable[Any], taken: Mapping[str, Any], options: Mapping[str, Any]
) -> Any:
    """A new optimiser.

    groups   tensors or parameter groups
    taken    arguments that have keys of their own in the optimizer section
    options  optimizer.options
    Raises InputError for an option that it does not have, or a value that it refuses.
    """
    factory = resolve(OPTIMIZERS.get(name).make)
    _, *known = inspect.signature(factory).parameters
    free = [each for each in known if each not in (*taken, "weight_decay")]
    for option in options:
        if option in (*taken, "weight_decay"):
            raise InputError(f"optimizer.options.{option} has a key of its own; set optimizer.{option}")
        if option not in free:
            raise InputError(f"optimizer.options.{option} is no setting of {name}; {nearest(option, free)}")
    # YAML has no tuples, and torch's betas are one.
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    try:
        return factory(groups, **taken, **plain)
    except (TypeError, ValueError, RuntimeError, NotImplementedError) as error:
        raise InputError(
            f"optimizer.options {dict(options)} do not suit {name} ({' '.join(str(error).split())}); "
            "its documentation has their meaning"
        ) from error


def check_options(name: str, taken: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise InputError unless the optimiser can be made so; without options no torch is needed."""
    if not options:
        return
    try:
        import torch
    except ModuleNotFoundError:
        return  # Nothing can be trained here; `make_optimizer` looks again where it can.
    make_optimizer(name, [torch.zeros(1, requires_grad=True)], taken, options)
