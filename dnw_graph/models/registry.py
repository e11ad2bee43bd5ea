"""Networks by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from dnw_graph.errors import InputError
from dnw_graph.models.dense_baselines import MobileNetV1, shufflenet_v2
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static

if TYPE_CHECKING:
    from dnw_graph.config import Config

WIRED: dict[str, Callable[..., WiredNetwork]] = {"mobilenet_v1": mobilenet_v1, "tiny_static": tiny_static}
DENSE: dict[str, Callable[..., nn.Module]] = {
    "mobilenet_v1_dense": MobileNetV1,
    "shufflenet_v2": shufflenet_v2,
}


def build_model(cfg: Config) -> nn.Module:
    """The network that a config describes, with fresh weights and its first wiring.

    Weights and wiring follow from `training.seed` alone.
    Raises InputError for an unknown rule or backend, an impossible budget, or a `gradient` section that the
    rule has no use for.
    """
    # Here, so that networks can be built in code where there is no pydantic.
    from dnw_graph.config import Config

    if not isinstance(cfg, Config):
        raise InputError(
            f"build_model takes a configuration and was given a {type(cfg).__name__}; give "
            "dnw_graph.load_config(path)"
        )
    model = cfg.model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.training.seed)
        if model.network in DENSE:
            return DENSE[model.network](model.multiplier, model.num_classes, model.image_size)
        options: dict[str, Any] = {"width": model.width, "density": model.density}
        options |= {"small": model.small} if model.network == "mobilenet_v1" else {"edges": model.edges}
        network = WIRED[model.network](
            rule=model.rule,
            num_classes=model.num_classes,
            image_size=model.image_size,
            seed=cfg.training.seed,
            backend=model.backend,
            weight_scale=model.weight_scale,
            **options,
        )
        for _, stage in network.wired_stages():
            stage.thin_gradient(cfg.gradient.every, cfg.gradient.sample)
        return network


def network_names() -> list[str]:
    """Names that `model.network` may take."""
    return sorted([*WIRED, *DENSE])


def is_wired(model: nn.Module) -> bool:
    """Whether the network is a channel graph (and not a dense baseline)."""
    return isinstance(model, WiredNetwork)
