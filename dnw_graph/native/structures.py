"""The structures that Python hands to the C code: field for field those of `source/api.h`.

The library says how large its own are: `library.load` compares.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, fields

import numpy as np

_pointer, _long, _int, _float = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
_Fields = list[tuple[str, type]]


def _of(kind: type, *names: str) -> _Fields:
    return [(name, kind) for name in names]


# An edge of a plan or of a stage in training: where its source's map begins, in floats, and its weight.
EDGE = np.dtype([("offset", np.int32), ("weight", np.float32)])


# Training: products, node operations, stages. Matrices and maps are float32.


class Pieces(ctypes.Structure):
    """`pieces`: a matrix whose rows from `split` on lie elsewhere."""

    _fields_ = [*_of(_pointer, "first", "rest"), ("split", _long)]


class ProductArguments(ctypes.Structure):
    """`product_arguments`."""

    _fields_ = [
        ("sources", Pieces),
        ("targets", Pieces),
        *_of(_long, "num_sources", "num_targets", "columns"),
        *_of(_pointer, "pointer", "source", "value"),
        ("add", _int),
    ]


class EdgeArguments(ctypes.Structure):
    """`edge_arguments`."""

    _fields_ = [
        ("g", Pieces),
        ("h", _pointer),
        *_of(_long, "num_sources", "num_targets", "columns"),
        *_of(_pointer, "pointer", "source", "out"),
    ]


class NodeMaps(ctypes.Structure):
    """`node_maps`."""

    _fields_ = [
        *_of(_pointer, "z", "mean", "rstd", "scale", "shift", "kernel"),
        *_of(_long, "channels", "images"),
        *_of(_int, "height", "width", "step", "per_map"),
    ]


class NodeGradientPlaces(ctypes.Structure):
    """`node_gradients`."""

    _fields_ = [*_of(_pointer, "z", "scale", "shift", "kernel"), ("through_statistics", _int)]


class StageBlock(ctypes.Structure):
    """`stage_block`."""

    _fields_ = [*_of(_pointer, "pointer", "source", "value"), ("targets", _long)]


class StageMaps(ctypes.Structure):
    """`stage_maps`."""

    _fields_ = [
        *_of(_long, "levels", "images", "start"),
        *_of(_int, "height", "width"),
        ("eps", _float),
        ("sizes", _pointer),
        *_of(_long, "senders", "between"),
        *_of(_pointer, "heard", "edges", "sent", "back", "scale", "shift", "kernel"),
        *_of(_pointer, "z", "states", "mean", "variance", "out", "g"),
        *_of(_long, "first_image", "part"),
        *_of(_pointer, "grad_z", "grad_states", "h"),
    ]


# NODE_SUMS of api.h: what a node's parameters get is a row of so many doubles, of which these are used.
NODE_SUMS, KERNEL_SUMS, SHIFT_SUM, SCALE_SUM = 16, slice(9), 9, 10


# Inference: the rows of a plan's tables, all of int64.

ABSENT = -1
STEM, NODE, MESSAGES, POOL = range(4)
BY_ROWS, BY_CHANNELS = range(2)


@dataclass
class Buffer:
    """`plan_buffer`: maps [height][pitch] of one arena; `at` and `stride` count floats."""

    per_thread: int
    at: int
    stride: int
    height: int
    width: int
    pitch: int
    ring: int


@dataclass
class Operation:
    """`plan_operation`: one launch; places in the constants count floats, in the numbers int32."""

    kind: int
    source: int
    source_map: int
    target: int
    target_map: int
    channels: int
    step: int = 1
    option: int = 0
    scale: int = ABSENT
    shift: int = ABSENT
    kernel: int = ABSENT
    bias: int = ABSENT
    base: int = ABSENT
    base_stride: int = 0
    base_row: int = ABSENT
    pointer: int = ABSENT
    edges: int = ABSENT
    added: int = ABSENT
    added_map: int = 0
    added_row: int = ABSENT
    tile: int = 0
    chunks: int = 1
    eps: int = ABSENT
    needs: int = 0


@dataclass
class Group:
    """`plan_group`: operations that run between two meetings of the threads."""

    first: int
    count: int
    split: int
    strip_rows: int = 1 << 30


@dataclass
class Header:
    """`plan_header`: sizes, and where the classifier's constants are."""

    buffers: int
    operations: int
    groups: int
    shared_floats: int
    thread_floats: int
    scratch_floats: int
    image_channels: int
    image_height: int
    image_width: int
    pooled: int
    classes: int
    classifier: int
    classifier_bias: int
    class_pointer: int
    class_edges: int


def _row(table: type) -> int:
    return len(fields(table)) * ctypes.sizeof(_long)


# Bytes of each, by its name in api.h.
SIZES: dict[str, int] = {
    "edge": EDGE.itemsize,
    "product_arguments": ctypes.sizeof(ProductArguments),
    "edge_arguments": ctypes.sizeof(EdgeArguments),
    "node_maps": ctypes.sizeof(NodeMaps),
    "node_gradients": ctypes.sizeof(NodeGradientPlaces),
    "stage_block": ctypes.sizeof(StageBlock),
    "stage_maps": ctypes.sizeof(StageMaps),
    "plan_buffer": _row(Buffer),
    "plan_operation": _row(Operation),
    "plan_group": _row(Group),
    "plan_header": _row(Header),
}
