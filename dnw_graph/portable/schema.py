"""What a wiring's file says of every node, of every edge, and of the whole: one table for all formats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from dnw_graph.graph.node_spec import Activation
from dnw_graph.graph.status import STATUS_NAMES

FORMAT_VERSION = 1
NORMS = ("batch", "instance", "none")


def order_of(activation: str, *, is_dynamic: bool) -> str:
    """Graph attribute `node_operation`: what a node does. A dynamic network's norm follows the messages."""
    return f"{activation},conv3x3,messages,norm" if is_dynamic else f"norm,{activation},conv3x3"


STATIC_ORDERS = tuple(order_of(name, is_dynamic=False) for name in get_args(Activation))
DYNAMIC_ORDERS = tuple(order_of(name, is_dynamic=True) for name in get_args(Activation))
RAW_NORM = ("norm_weight", "norm_bias", "norm_mean", "norm_var")


@dataclass(frozen=True)
class Field:
    """One datum of every node or edge.

    kind  integer (int64), number (float32 or float64), name (text, one of `known`), or kernel (3×3 numbers,
          row by row). Numbers and kernels are NaN in memory, and absent from text files, where a node has no
          operation.
    """

    name: str
    kind: Literal["integer", "number", "name", "kernel"]
    known: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one node's or edge's entry."""
        return (3, 3) if self.kind == "kernel" else ()

    @property
    def has_float_type(self) -> bool:
        return self.kind in ("number", "kernel")


NODE_FIELDS = (
    Field("level", "integer"),
    Field("channel", "integer"),
    Field("stage", "integer"),
    Field("resolution", "integer"),
    Field("stride", "integer"),
    Field("status", "name", STATUS_NAMES),
    Field("carry", "integer"),
    Field("norm", "name", NORMS),
    Field("scale", "number"),
    Field("shift", "number"),
    Field("eps", "number"),
    Field("kernel", "kernel"),
)
EDGE_FIELDS = (Field("weight", "number"), Field("id", "integer"))
ENDS = (Field("source", "integer"), Field("target", "integer"))

# In exact files only: the norms' own tensors, and the nodes' numbers where some were left out.
RAW_FIELDS = tuple(Field(name, "number") for name in RAW_NORM)
NUMBER_FIELD = Field("number", "integer")

ATTRIBUTES: dict[str, type] = {
    "format_version": int,
    "network": str,
    "rule": str,
    "node_operation": str,
    "input_resolution": int,
    "evaluations": int,
    "inputs": int,
    "class_names": list,
    "preprocessing": dict,
    "part": dict,
}
"""Name of a graph attribute → type of its value; lists and mappings hold what JSON can hold."""

REQUIRED_ATTRIBUTES = ("format_version", "network", "rule", "node_operation", "input_resolution")


def in_order(attributes: dict[str, Any]) -> list[tuple[str, Any]]:
    """(name, value) of each graph attribute, in the order of ATTRIBUTES."""
    return [(name, attributes[name]) for name in ATTRIBUTES if name in attributes]
