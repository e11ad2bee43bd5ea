"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import nn

from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork
from dnw_graph.registry import resolve

if TYPE_CHECKING:
    from dnw_graph.config import Config

# Networks can be built in code where there is no pydantic: configurations are imported when they are needed.

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


def register_network(name: str) -> Callable[[Builder], Builder]:
    """Decorator of a function that makes a network: a config can then name it as `model.network`.

    Its parameters say what it is given, all by name: those called like keys of the model section
    (num_classes, image_size, rule, edges, backend, …) or seed are what the configuration says there, and the
    others are settings of its own, for `model.options`, checked against their types. One that takes a rule
    returns a WiredNetwork, another one any module, images [B, 3, S, S] → logits [B, num_classes].
    """

    def keep(build: Builder) -> Builder:
        from dnw_graph.config.networks import NETWORKS, Network
        from dnw_graph.config.schema import Model
        from dnw_graph.config.settings import parameters, settings_of

        what = f"network {name!r}"
        if not callable(build):
            raise InputError(f"{what} is no function; define one that returns a network")
        shared = {*Model.model_fields, "seed"} - {"network", "options"}
        reads = shared & {*parameters(build, what)}
        options = settings_of(build, reads, what)
        NETWORKS.add(name, Network(build, frozenset(reads), options if options.model_fields else None), build)
        return build

    return keep


def build_model(cfg: Config) -> nn.Module:
    """The network that a config describes, with fresh weights and its first wiring.

    Weights and wiring follow from `training.seed` alone.
    Raises InputError for an unknown rule or backend, an impossible budget, or a `gradient` section that the
    rule has no use for.
    """
    from dnw_graph.config import Config
    from dnw_graph.config.networks import NETWORKS

    if not isinstance(cfg, Config):
        raise InputError(
            f"build_model takes a configuration and was given a {type(cfg).__name__}; give "
            "dnw_graph.load_config(path)"
        )
    model, entry = cfg.model, NETWORKS.get(cfg.model.network)
    settings: dict[str, Any] = {key: getattr(model, key) for key in entry.reads if key != "seed"}
    if "seed" in entry.reads:
        settings["seed"] = cfg.training.seed
    if entry.options is not None:
        from dnw_graph.config.settings import check_settings

        what = f"network {model.network}"
        settings |= check_settings(entry.options, model.options or {}, "model.options", what)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.training.seed)
        network: nn.Module = resolve(entry.build)(**settings)
        if not isinstance(network, WiredNetwork if entry.is_wired else nn.Module):
            wanted = "WiredNetwork, since it takes a rule" if entry.is_wired else "torch module"
            raise InputError(
                f"model.network {model.network!r} made a {type(network).__name__}; return a {wanted}"
            )
        for key in ("num_classes", "image_size"):
            # Counting asks for them, and a module of the user's need not say.
            if not hasattr(network, key):
                setattr(network, key, getattr(model, key))
        if isinstance(network, WiredNetwork):
            for _, stage in network.wired_stages():
                stage.thin_gradient(cfg.gradient.every, cfg.gradient.sample)
        return network


def network_names() -> list[str]:
    """Names that `model.network` may take."""
    from dnw_graph.config.networks import NETWORKS

    return sorted(NETWORKS.entries)


def is_wired(model: nn.Module) -> bool:
    """Whether the network is a channel graph (and not a dense one)."""
    return isinstance(model, WiredNetwork)
