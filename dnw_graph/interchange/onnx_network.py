"""A network as an ONNX model: dead-free, norms folded, weights constant; other engines execute it densely.

Messages become 1×1 convolutions with a zero for every edge that is not there: no other format of ONNX's is
faster in the engines that read it. What such an engine multiplies is in the metadata beside the exact count.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from dnw_graph.dependencies import missing_of
from dnw_graph.errors import InputError
from dnw_graph.inference.by_steps import BySteps, ConstantPart
from dnw_graph.interchange.file import write_bytes
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.program.cost import cost
from dnw_graph.program.fold import folded
from dnw_graph.program.layers import Choice
from dnw_graph.program.program import IMAGES, LOGITS, Array, Program
from dnw_graph.program.split import split
from dnw_graph.program.steps import (
    Convolution,
    Integrate,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Step,
    Sum,
    sources_of,
)

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

OPSET, IR_VERSION = 17, 8
TOLERANCE = 1e-4
"""Largest difference of an engine's logits from the program's, relative to the largest of them."""


def _onnx() -> Any:
    """Package onnx. Raises InputError where it is not installed."""
    if (missing := missing_of("onnx")) is not None:
        raise InputError(f"an ONNX model cannot be made: {missing}")
    import onnx
    import onnx.checker
    import onnx.helper
    import onnx.numpy_helper

    return onnx


class _Graph:
    """Nodes and constants; each `add` returns the name of its output."""

    def __init__(self) -> None:
        self.onnx = _onnx()
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.macs = 0

    def constant(self, values: Array, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        stored: Array = np.ascontiguousarray(values, dtype=dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(stored, name))
        return name

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or f"n{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def activation(self, x: str, name: str) -> str:
        return _ACTIVATIONS[name](self, x)

    def convolution(
        self,
        x: str,
        weight: Array,
        bias: Array | None,
        pixels: int,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
    ) -> str:
        """pixels: of an output map."""
        self.macs += weight.size * pixels
        inputs = [x, self.constant(weight)] + ([] if bias is None else [self.constant(bias)])
        shape: dict[str, Any] = {
            "kernel_shape": [weight.shape[-1]] * 2,
            "strides": [stride] * 2,
            "pads": [padding] * 4,
        }
        return self.add("Conv", *inputs, group=groups, **shape)


_ACTIVATIONS: dict[str, Callable[[_Graph, str], str]] = {
    "identity": lambda graph, x: x,
    "relu": lambda graph, x: graph.add("Relu", x),
    "relu6": lambda graph, x: graph.add("Clip", x, *(graph.constant(np.array(n)) for n in (0.0, 6.0))),
    "hardswish": lambda graph, x: graph.add("HardSwish", x),
    "silu": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
}


class _Writer:
    """Walks over a program's steps; a state that is a sum is made when it is first read.

    Such a state is one 1×1 convolution of all that it hears, with the norm that reads it folded in. Maps that
    are added as they are are messages of weight 1.
    """

    def __init__(self, program: Program, given: Mapping[str, Array]) -> None:
        self.program, self.graph, self.shapes = program, _Graph(), program.shapes()
        self.made = {IMAGES: IMAGES}
        self.heard: dict[str, list[tuple[str, Array]]] = {}
        self.added = {name: maps.transpose(1, 0, 2, 3) for name, maps in given.items()}
        self.base: dict[str, Array] = {}
        self.readers = [name for step in program.steps for name in sources_of(step)]

    def write(self) -> None:
        for step in self.program.steps:
            # What no channel is left of has no maps.
            if all(self.program.channels[name] for name in sources_of(step)):
                _WRITE[type(step)](self, step)
        if LOGITS not in self.made:
            self.graph.add("Flatten", self.value(LOGITS), output=LOGITS)

    # Sums

    def hear(self, source: str, target: str, row: Array, column: Array, weight: Array) -> None:
        matrix = np.zeros((self.program.channels[target], self.program.channels[source]), np.float32)
        np.add.at(matrix, (row, column), weight)
        self.heard.setdefault(target, []).append((source, matrix))

    def value(self, state: str) -> str:
        """The state's maps [B, C, H, W], by name."""
        if state not in self.made:
            self.made[state] = self._sum(state, None, None)
        return self.made[state]

    def _sum(self, state: str, scale: Array | None, shift: Array | None) -> str:
        heard = self.heard.pop(state)
        sources = [self.value(source) for source, _ in heard]
        together = self.graph.add("Concat", *sources, axis=1) if len(sources) > 1 else sources[0]
        weight = np.concatenate([matrix for _, matrix in heard], axis=1)
        weight = weight if scale is None else weight * scale[:, None]
        x = self.graph.convolution(together, weight[:, :, None, None], shift, self._pixels(state))
        if state not in self.base:
            return x
        base = self.base[state] if scale is None else self.base[state] * scale[:, None, None]
        return self.graph.add("Add", x, self.graph.constant(base))

    def _pixels(self, state: str) -> int:
        _, height, width = self.shapes[state]
        return height * width

    def normed(self, step: NodeOperation | Norm, kind: str, eps: float) -> str:
        """The source after the step's norm, without an operation of its own where a sum can take it in."""
        if kind == "none":
            return self.value(step.source)
        scale, shift = self.program.scale_shift(step)
        if kind == "affine" and step.source in self.heard and self.readers.count(step.source) == 1:
            return self._sum(step.source, scale, shift)
        x = self.value(step.source)
        if kind == "instance":
            inputs = (self.graph.constant(scale), self.graph.constant(shift))
            return self.graph.add("InstanceNormalization", x, *inputs, epsilon=eps)
        factor, term = (self.graph.constant(each[:, None, None]) for each in (scale, shift))
        return self.graph.add("Add", self.graph.add("Mul", x, factor), term)

    # Steps

    def convolution(self, step: Convolution) -> None:
        weight, bias = self.program.tensor(step, "weight"), self.program.optional(step, "bias")
        groups = len(weight) if step.depthwise else 1
        x = self.graph.convolution(
            self.value(step.source),
            weight,
            bias,
            self._pixels(step.target),
            step.stride,
            step.padding,
            groups,
        )
        self.made[step.target] = self.graph.activation(x, step.activation)

    def node_operation(self, step: NodeOperation) -> None:
        spec, kernel = step.spec, self.program.tensor(step, "kernel")[:, None]
        x = self.graph.activation(self.normed(step, spec.norm, spec.eps), spec.activation)
        pad = spec.kernel_size // 2
        self.made[step.target] = self.graph.convolution(
            x, kernel, None, self._pixels(step.target), spec.stride, pad, len(kernel)
        )

    def norm(self, step: Norm) -> None:
        x = self.normed(step, step.norm, step.eps)
        self.made[step.target] = self.graph.activation(x, step.activation)

    def messages(self, step: Messages) -> None:
        row, column, weight = (self.program.tensor(step, name) for name in ("row", "column", "weight"))
        first = 0
        for target, size in zip(step.targets, step.sizes, strict=True):
            mine = (row >= first) & (row < first + size)
            self.hear(step.source, target, row[mine] - first, column[mine], weight[mine])
            first += size

    def sum(self, step: Sum) -> None:
        if step.part == "constants":
            if step.source in self.added:
                self.base[step.target] = self.added[step.source]
            return
        of, to = (self.program.tensor(step, name) for name in ("column", "row"))
        self.hear(step.source, step.target, to, of, np.ones(len(to)))

    def pool(self, step: Pool) -> None:
        x = self.value(step.source)
        if step.window is not None:
            first, end, _ = step.window
            bounds = [self.graph.constant(np.array([n, n]), np.int64) for n in (first, end)]
            x = self.graph.add("Slice", x, *bounds, self.graph.constant(np.array([2, 3]), np.int64))
        self.made[step.target] = self.graph.add("GlobalAveragePool", x)

    def linear(self, step: Linear) -> None:
        bias = self.program.optional(step, "bias")
        base = self.base.get(step.target, np.zeros(self.program.channels[step.target])).reshape(-1)
        flat = self.graph.add("Flatten", self.value(step.source))
        weight = self.program.tensor(step, "weight")
        self.graph.macs += weight.size
        inputs = [
            flat,
            self.graph.constant(weight),
            self.graph.constant(base if bias is None else base + bias),
        ]
        self.made[step.target] = self.graph.add("Gemm", *inputs, output=step.target, transB=1)


_WRITE: dict[type[Step], Callable[..., None]] = {
    Convolution: _Writer.convolution,
    NodeOperation: _Writer.node_operation,
    Norm: _Writer.norm,
    Messages: _Writer.messages,
    Sum: _Writer.sum,
    Pool: _Writer.pool,
    Linear: _Writer.linear,
}


@torch.no_grad()
def onnx_model(
    model: nn.Module, batch: int | None = None, *, opset: int = OPSET, ir_version: int = IR_VERSION
) -> ModelProto:
    """A wired network without its dead nodes; what constant nodes send is added where it is not 0.

    Input `images` [batch, 3, S, S] float32, output `logits` [batch, classes], S the network's image size.
    batch  of every image file; None: any
    The metadata has `class_names` and `preprocessing` (JSON) where they are known, `macs` (exact, per image),
    `macs_dense` (what an engine does that multiplies zeros too), `params` and `network`; `save_onnx` adds
    more.
    Raises InputError for a dense network, one in continuous time, one that no image changes the logits of,
    and where package onnx is missing.
    """
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{type(model).__name__} is dense; torch.onnx.export writes it")
    onnx = _onnx()
    live, constant = split(lower(model))
    _check(live)
    side = live.image_size
    given = ConstantPart(constant)(torch.zeros(1, 3, side, side))
    writer = _Writer(folded(live), {name: maps.numpy() for name, maps in given.items()})
    writer.write()
    size = "batch" if batch is None else batch
    shapes = {IMAGES: [size, 3, side, side], LOGITS: [size, live.channels[LOGITS]]}
    inputs, outputs = (
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shapes[name])]
        for name in (IMAGES, LOGITS)
    )
    proto = onnx.helper.make_graph(writer.graph.nodes, "network", inputs, outputs, writer.graph.constants)
    opsets = [onnx.helper.make_opsetid("", opset)]
    made: ModelProto = onnx.helper.make_model(
        proto, opset_imports=opsets, ir_version=ir_version, producer_name="dnw-graph"
    )
    onnx.helper.set_model_props(made, _metadata(model, live, writer.graph.macs))
    onnx.checker.check_model(made)
    return made


def save_onnx(
    model: nn.Module, path: str | Path, metadata: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Write a network as an ONNX model, after its logits were compared with the network's → its metadata.

    metadata  more of it: where the network comes from

    ONNX Runtime computes them where it is installed, else the evaluator that comes with package onnx.
    Raises InputError like `onnx_model`, and where the disk refuses.
    """
    made = onnx_model(model)
    check_logits(model, made)
    found = {entry.key: entry.value for entry in made.metadata_props} | dict(metadata or {})
    _onnx().helper.set_model_props(made, found)
    write_bytes(Path(path), made.SerializeToString())
    return found


@torch.no_grad()
def check_logits(model: nn.Module, made: ModelProto) -> None:
    """Raise RuntimeError if a model's logits of random images differ from the program's by `TOLERANCE`."""
    live, constant = split(lower(model))
    side = live.image_size
    given = ConstantPart(constant)(torch.zeros(1, 3, side, side))
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    wanted = BySteps(live, Choice("dense")).logits(images, given).numpy()
    found = _evaluated(made, images.numpy())
    difference = float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-30))
    if not difference <= TOLERANCE:
        raise RuntimeError(f"the ONNX model's logits differ from the network's by {difference:.2g} relative")


def _evaluated(made: ModelProto, images: Array) -> Array:
    if find_spec("onnxruntime") is not None:
        import onnxruntime

        session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        (logits,) = session.run(None, {IMAGES: images})
    else:
        from onnx.reference import ReferenceEvaluator

        (logits,) = ReferenceEvaluator(made).run(None, {IMAGES: images})
    return np.asarray(logits)


def _check(program: Program) -> None:
    for step in program.steps:
        if isinstance(step, Integrate):
            raise InputError("ONNX has no solver for continuous time; export a network in discrete time")
        if isinstance(step, Pool) and not program.channels[step.target]:
            raise InputError(
                "no image changes the logits of this network: no channel leads to the classifier"
            )


def _metadata(model: WiredNetwork, program: Program, dense: int) -> dict[str, str]:
    whole = cost(program)
    known = {name: getattr(model.facts, name) for name in ("class_names", "preprocessing")}
    numbers: dict[str, Any] = {"macs": whole.macs, "macs_dense": dense, "params": whole.params}
    return {
        "network": model.network,
        **{name: str(number) for name, number in numbers.items()},
        **{name: json.dumps(value) for name, value in known.items() if value is not None},
    }
