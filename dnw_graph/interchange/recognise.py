"""Which network of the 2019 program a state dictionary belongs to, from its names and shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Recognised:
    """What the names and shapes of an official file tell.

    network  mobilenet_v1, tiny_static, tiny_discrete_time or tiny_continuous_time
    small    whether the classifier is a wiring
    classes  number of classes
    masked   whether the wirings are stored as masks
    """

    network: str
    small: bool
    classes: int
    masked: bool

    def __str__(self) -> str:
        kind = f"{self.network}{' (small)' if self.small else ''} of {self.classes} classes"
        return f"{kind}, {'wirings as masks' if self.masked else 'wirings from the weights'}"


def recognise(state: Mapping[str, Tensor]) -> Recognised | None:
    """state without `module.` prefixes → what it is, or None if it is no file of that program."""
    small = "linear.graph.weight" in state
    if "layers.0.graph.weight" in state:
        network, classifier = "mobilenet_v1", "linear.graph.weight" if small else "linear.weight"
    elif "odesolve.odefunc.graph.weight" in state:
        network, classifier = "tiny_continuous_time", "fc.weight"
    elif "graph.weight" in state:
        network = "tiny_static" if "norm.0.weight" in state else "tiny_discrete_time"
        classifier = "fc.weight"
    else:
        return None
    if classifier not in state or not state[classifier].dim():
        return None
    masked = any(name.endswith("graph.mask") for name in state)
    return Recognised(network, small, int(state[classifier].shape[0]), masked)
