"""A wiring as plain arrays: what every file format holds, and what analyses read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from dnw_graph.portable.schema import RAW_NORM
from dnw_graph.shown import Rows, Shown, brief

Array = npt.NDArray[Any]


@dataclass(repr=False)
class Graph(Shown):
    """The wiring of a network's body. Without the stem, the head, and candidate edges that were not selected.

    nodes, arrays over the N nodes, which are numbered level by level:
      level channel stage resolution stride carry  int64 [N], as in `graph.channel_graph.WiringData`; carry
                   is a node's number
      status       text [N]: live, constant or dead
      norm         text [N]: batch, instance, or none where the node has no operation (the last level)
      scale shift  float64 [N]: what the norm multiplies by and adds just before the ReLU. Batch norm with
                   running statistics folded in; instance norm after making mean 0 and variance 1
      eps          float64 [N]: added to the variance
      kernel       float [N, 3, 3]
      norm_weight norm_bias norm_mean norm_var  float [N], may be missing: the layer's own tensors, of which
                   scale and shift are made; mean and variance are NaN where norm is not batch
      number       int64 [N], ascending, only where nodes were left out: their numbers in the whole wiring
      Where norm is none, all floats of the node are NaN.
    edges, arrays over the E edges, sorted by stage and id:
      source target  int64 [E]: nodes, by their position in the arrays above
      weight         float [E]
      id             int64 [E]: position in the stage's parameter; the stage is that of the target
    attributes, plain values:
      format_version network rule node_operation ("norm,relu,conv3x3") input_resolution (side of the images,
      pixels), and where known class_names and preprocessing; part, where something was left out: see
      `dnw_graph.portable.part`
    """

    nodes: dict[str, Array]
    edges: dict[str, Array]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def num_nodes(self) -> int:
        return len(self.nodes["level"])

    @property
    def num_edges(self) -> int:
        return len(self.edges["weight"])

    def shown(self) -> tuple[str, Rows]:
        # One's own may have anything in it, which is checked when it is used.
        nodes, edges, attributes = self.nodes or {}, self.edges or {}, self.attributes or {}
        said = {name: value for name, value in attributes.items() if name not in ("network", "rule")}
        rows = [("nodes", ", ".join(map(str, nodes))), ("edges", ", ".join(map(str, edges)))]
        size = f"{len(nodes.get('level', ())):,} nodes, {len(edges.get('weight', ())):,} edges"
        network, rule = (attributes.get(name, "unknown") for name in ("network", "rule"))
        title = f"Graph: {size}, of {network}, rule {rule}"
        return title, [*rows, *((name, brief(value)) for name, value in said.items())]

    @property
    def numbers(self) -> Array:
        """Number of each node in the whole wiring. [N] int64, ascending"""
        return self.nodes["number"] if "number" in self.nodes else np.arange(self.num_nodes)

    @property
    def edge_stage(self) -> Array:
        """Stage of each edge: the one in which its target receives. [E] int64"""
        return self.nodes["stage"][self.edges["target"]]


def fold(raw: Mapping[str, Array], eps: Array) -> tuple[Array, Array]:
    """(scale, shift), float64 [N], of the norms that `norm_weight` … `norm_var` describe."""
    weight, bias, mean, var = (raw[name].astype(np.float64) for name in RAW_NORM)
    # Where there are no running statistics, the norm measures each map itself.
    folded = np.isfinite(mean)
    with np.errstate(invalid="ignore"):
        scale = np.where(folded, weight / np.sqrt(var + eps), weight)
        shift = np.where(folded, bias - mean * scale, bias)
    return scale, shift
