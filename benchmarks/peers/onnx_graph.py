"""ONNX models of the networks: masked dense, norms folded, weights constant."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from dnw_graph.inference.by_steps import ConstantPart
from dnw_graph.models.lower import lower
from dnw_graph.program.fold import folded
from dnw_graph.program.program import IMAGES, LOGITS, Array, Program
from dnw_graph.program.split import split
from dnw_graph.program.steps import (
    Convolution,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Step,
    Sum,
    sources_of,
)

# Old enough for DeepSparse 1.8.
_OPSET, _IR = 13, 8
_ACTIVATIONS = {"identity": None, "relu": "Relu"}


class _Graph:
    """Nodes and constants; each `add` returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: Array, dtype: type = np.float32) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, dtype=dtype), name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def activation(self, x: str, name: str) -> str:
        if name not in _ACTIVATIONS:
            raise ValueError(f"the ONNX writer has no activation {name}; add it to its table")
        operator = _ACTIVATIONS[name]
        return x if operator is None else self.add(operator, x)

    def convolution(
        self, x: str, weight: Array, bias: Array | None, stride: int = 1, padding: int = 0, groups: int = 1
    ) -> str:
        inputs = [x, self.constant(weight)] + ([] if bias is None else [self.constant(bias)])
        shape = {"kernel_shape": [weight.shape[-1]] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
        return self.add("Conv", *inputs, group=groups, **shape)


class _Writer:
    """Walks over a program's steps; a state that is a sum is made when it is first read.

    Such a state is one 1×1 convolution of all that it hears, with the norm that reads it folded in. A start
    is messages of weight 1.
    """

    def __init__(self, program: Program, given: Mapping[str, Array]) -> None:
        self.program, self.graph = program, _Graph()
        self.made = {IMAGES: IMAGES}
        self.heard: dict[str, list[tuple[str, Array]]] = {}
        self.added = {name: maps.transpose(1, 0, 2, 3) for name, maps in given.items()}
        self.base: dict[str, Array] = {}
        self.readers = [name for step in program.steps for name in sources_of(step)]

    def write(self) -> None:
        for step in self.program.steps:
            _WRITE[type(step)](self, step)
        if LOGITS not in self.made:
            self.graph.nodes.append(helper.make_node("Flatten", [self.value(LOGITS)], [LOGITS]))

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
        x = self.graph.convolution(together, weight[:, :, None, None], shift)
        if state not in self.base:
            return x
        base = self.base[state] if scale is None else self.base[state] * scale[:, None, None]
        return self.graph.add("Add", x, self.graph.constant(base))

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
            self.value(step.source), weight, bias, step.stride, step.padding, groups=groups
        )
        self.made[step.target] = self.graph.activation(x, step.activation)

    def node_operation(self, step: NodeOperation) -> None:
        spec, kernel = step.spec, self.program.tensor(step, "kernel")[:, None]
        x = self.graph.activation(self.normed(step, spec.norm, spec.eps), spec.activation)
        pad = spec.kernel_size // 2
        self.made[step.target] = self.graph.convolution(x, kernel, None, spec.stride, pad, len(kernel))

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
        weight = self.graph.constant(self.program.tensor(step, "weight"))
        term = self.graph.constant(base if bias is None else base + bias)
        self.graph.nodes.append(helper.make_node("Gemm", [flat, weight, term], [step.target], transB=1))
        self.made[step.target] = step.target


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
def wired_onnx(model: nn.Module, batch: int) -> bytes:
    """A wired network without its dead nodes; what constant nodes send is added where it is not 0."""
    live, constant = split(lower(model))
    side = live.image_size
    given = ConstantPart(constant)(torch.zeros(1, 3, side, side))
    writer = _Writer(folded(live), {name: maps.numpy() for name, maps in given.items()})
    writer.write()
    shapes = {IMAGES: [batch, 3, side, side], LOGITS: [batch, live.channels[LOGITS]]}
    inputs, outputs = (
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name])] for name in (IMAGES, LOGITS)
    )
    proto = helper.make_graph(writer.graph.nodes, "network", inputs, outputs, writer.graph.constants)
    made = helper.make_model(proto, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def dense_onnx(model: nn.Module, batch: int) -> bytes:
    """A dense baseline, as torch exports it."""
    file, side = io.BytesIO(), int(model.image_size)  # type: ignore[arg-type]
    images = torch.randn(batch, 3, side, side)
    names = {"input_names": ["images"], "output_names": ["logits"]}
    with warnings.catch_warnings():
        # The new exporter needs one more package; the old one says that it is old.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(model, (images,), file, dynamo=False, opset_version=_OPSET, **names)
    return file.getvalue()
