"""One decorator for all pieces of one's own: rules, networks, data sets, optimisers, schedules."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from dnw_graph.errors import InputError

Piece = TypeVar("Piece", bound=Callable[..., Any])


def register(name: str, **more: Any) -> Callable[[Piece], Piece]:
    """Decorator: a configuration can then name the piece, as it names the package's own.

    What it is decides what is registered:
      a class derived from `dg.Rule`                 a rule, `model.rule`
      a class derived from torch.optim.Optimizer     an optimiser, `optimizer.name`; more: l2
      a class derived from dnw_graph.config.Schedule a schedule, `schedule.name`
      a function with parameters directory and train a data set, `data.dataset`; more: classes
      any other function, or a module's class        a network, `model.network`
    name  by which a configuration calls it
    more  l2 and classes, see `register_optimizer` and `register_data`; docs/plugins.md shows each piece
    Raises InputError if the name is taken, and for what is none of these.
    """
    if not isinstance(name, str):
        given = type(name).__name__
        raise InputError(
            f'register takes a name and was given a {given}; write @dg.register("name") above it'
        )

    def keep(piece: Piece) -> Piece:
        registrar, options = _registrar_of(piece)
        if unknown := [key for key in more if key not in options]:
            has = f"has {', '.join(options)}" if options else "has no options"
            raise InputError(f"register({name!r}): {unknown[0]} is no option here, which {has}; leave it out")
        kept: Piece = registrar(name, **more)(piece)
        return kept

    return keep


def _registrar_of(piece: Any) -> tuple[Callable[..., Any], tuple[str, ...]]:
    """The decorator for a piece of its kind, and the options that it takes."""
    import torch

    from dnw_graph.config.optimizers import register_optimizer
    from dnw_graph.config.schedules import Schedule, register_schedule
    from dnw_graph.data import register_data
    from dnw_graph.models.registry import register_network
    from dnw_graph.wiring import Rule
    from dnw_graph.wiring import register as register_rule

    if inspect.isclass(piece):
        for base, registrar, options in (
            (Rule, register_rule, ()),
            (Schedule, register_schedule, ()),
            (torch.optim.Optimizer, register_optimizer, ("l2",)),
            (torch.nn.Module, register_network, ()),
        ):
            if issubclass(piece, base):
                return registrar, options
        raise InputError(
            f"{piece.__name__} is no piece that a configuration can name; derive the class from dg.Rule, "
            "torch.optim.Optimizer, dnw_graph.config.Schedule or torch.nn.Module"
        )
    if not callable(piece):
        raise InputError(f"a {type(piece).__name__} cannot be registered; decorate a class or a function")
    if {"directory", "train"} <= {*inspect.signature(piece).parameters}:
        return register_data, ("classes",)
    return register_network, ()
