"""Which networks `model.network` may name, and which keys of the section each of them reads.

Of the package's own, only the place is here: nothing is imported before one is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any

from pydantic import Field, model_validator

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


# More would be more candidate edges than a machine holds.
Nodes = Annotated[int, Field(ge=1, le=20_000)]
Stride = Annotated[int, Field(ge=1, le=2)]
Levels = Annotated[int, Field(ge=1, le=100)]
Row = tuple[Nodes, Nodes, Stride, Levels]


class StaticSizes(Section):
    """Sizes of tiny_static: nodes of each group, of which the stem feeds the first, and of the readout."""

    groups: Annotated[tuple[Nodes, ...], Field(min_length=1, max_length=100)] = (32, 192, 192, 192, 192)
    readout: Nodes = 100
    stem_channels: Nodes = 16

    @model_validator(mode="after")
    def _combination(self) -> StaticSizes:
        if self.readout > self.groups[-1]:
            last = self.groups[-1]
            raise ValueError(f"readout {self.readout} is more than the last group has; use at most {last}")
        return self


class DynamicSizes(Section):
    """Sizes of a dynamic network: the stem feeds the first `inputs` nodes, the head reads the last ones."""

    nodes: Nodes = 800
    inputs: Nodes = 32
    readout: Nodes = 100
    stem_channels: Nodes = 16


class DiscreteSizes(DynamicSizes):
    """times: evaluations of the graph."""

    times: Annotated[int, Field(ge=1, le=1000)] = 5


class BlockTable(Section):
    """Rows of mobilenet_v1's stages: input nodes, nodes per level, stride, levels."""

    blocks: Annotated[tuple[Row, ...], Field(min_length=1, max_length=100)] = (
        (32, 64, 1, 1),
        (64, 128, 2, 2),
        (128, 256, 2, 2),
        (256, 512, 2, 6),
        (512, 1024, 2, 2),
    )

    @model_validator(mode="after")
    def _combination(self) -> BlockTable:
        for (_, width, _, _), (inputs, _, _, _) in pairwise(self.blocks):
            if inputs != width:
                raise ValueError(f"{inputs} input nodes follow levels of {width}; make them equal")
        return self


NETWORKS: Registry[Network] = Registry("model.network", "network")

_ALWAYS = frozenset({"num_classes", "image_size"})
_WIRED = _ALWAYS | {"rule", "rule_options", "width", "density", "weight_scale", "backend", "seed"}

_HOME = "dnw_graph.models"
for _name, _place, _reads, _options in (
    ("tiny_static", "tiny_static:tiny_static", _WIRED | {"edges"}, StaticSizes),
    ("tiny_discrete_time", "tiny_dynamic:tiny_discrete_time", _WIRED | {"edges"}, DiscreteSizes),
    (
        "tiny_continuous_time",
        "tiny_dynamic:tiny_continuous_time",
        _WIRED | {"edges", "inplace_relu"},
        DynamicSizes,
    ),
    ("mobilenet_v1", "mobilenet_v1:mobilenet_v1", _WIRED | {"small"}, BlockTable),
    ("mobilenet_v1_dense", "dense_baselines:MobileNetV1", _ALWAYS | {"multiplier"}, None),
    ("shufflenet_v2", "dense_baselines:shufflenet_v2", _ALWAYS | {"multiplier"}, None),
):
    NETWORKS.add(_name, Network(f"{_HOME}.{_place}", _reads, _options), f"{_HOME}.{_place}")
