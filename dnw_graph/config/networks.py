"""Which networks `model.network` may name, and which keys of the section each of them reads.

Of the package's own, only the place is here: nothing is imported before one is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dnw_graph.config.section import Section
from dnw_graph.registry import Registry

BUDGETS = ("width", "edges", "density")


@dataclass(frozen=True)
class Network:
    """One network.

    build    the function that makes it, or its place "module:name"; called with what it `reads` by name
    reads    keys of the model section, and seed; one with a rule is wired, the others are dense
    options  what else it takes, from model.options; None: nothing
    """

    build: str | Callable[..., Any]
    reads: frozenset[str]
    options: type[Section] | None = None

    @property
    def is_wired(self) -> bool:
        return "rule" in self.reads

    @property
    def budgets(self) -> list[str]:
        """Keys of which one must give the number of edges."""
        return [key for key in BUDGETS if key in self.reads]


NETWORKS: Registry[Network] = Registry("model.network", "network")

_ALWAYS = frozenset({"num_classes", "image_size"})
_WIRED = _ALWAYS | {"rule", "rule_options", "width", "density", "weight_scale", "backend", "seed"}

for _name, _place, _reads in (
    ("tiny_static", "dnw_graph.models.tiny_static:tiny_static", _WIRED | {"edges"}),
    ("tiny_discrete_time", "dnw_graph.models.tiny_dynamic:tiny_discrete_time", _WIRED | {"edges"}),
    (
        "tiny_continuous_time",
        "dnw_graph.models.tiny_dynamic:tiny_continuous_time",
        _WIRED | {"edges", "inplace_relu"},
    ),
    ("mobilenet_v1", "dnw_graph.models.mobilenet_v1:mobilenet_v1", _WIRED | {"small"}),
    ("mobilenet_v1_dense", "dnw_graph.models.dense_baselines:MobileNetV1", _ALWAYS | {"multiplier"}),
    ("shufflenet_v2", "dnw_graph.models.dense_baselines:shufflenet_v2", _ALWAYS | {"multiplier"}),
):
    NETWORKS.add(_name, Network(_place, _reads), _place)
