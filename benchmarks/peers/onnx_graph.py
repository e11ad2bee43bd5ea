"""ONNX models of the networks: masked dense, norms folded, weights constant."""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from benchmarks.peers.masked_dense import masked_blocks
from dnw_graph.inference.layers import folded
from dnw_graph.inference.liveness import liveness
from dnw_graph.models.heads import LinearHead
from dnw_graph.models.network import WiredNetwork

# Old enough for DeepSparse 1.8.
_OPSET, _IR = 13, 8


class _Graph:
    """Nodes and constants; each `add` returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: Tensor) -> str:
        name = f"c{len(self.constants)}"
        array = np.ascontiguousarray(values.detach().numpy(), dtype=np.float32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: object) -> str:
        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def convolution(
        self, x: str, weight: Tensor, bias: Tensor | None = None, stride: int = 1, groups: int = 1
    ) -> str:
        inputs = [x, self.constant(weight)] + ([] if bias is None else [self.constant(bias)])
        side, pad = weight.shape[-1], weight.shape[-1] // 2
        shape = {"kernel_shape": [side] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "group": groups}
        return self.add("Conv", *inputs, **shape)


@torch.no_grad()
def wired_onnx(model: WiredNetwork, batch: int) -> bytes:
    """A wired network without its dead nodes.

    Every level is one 1×1 convolution of all earlier levels of its stage, its norm folded in, and a ReLU.
    """
    assert isinstance(model.head, LinearHead)
    alive, graph, layout = liveness(model), _Graph(), model.layout
    keep = [torch.cat(both).sort().values for both in zip(alive.live, alive.constant, strict=True)]
    norms = [operation.norm for operation in model.body.operations] + [model.head.norm]
    affine = [folded(norm) for norm in norms]  # type: ignore[arg-type]

    def rectified(level: int, x: str, weight: Tensor, stride: int = 1) -> str:
        scale, shift = (values[keep[level]] for values in affine[level])
        return graph.add("Relu", graph.convolution(x, weight * scale.reshape(-1, 1, 1, 1), shift, stride))

    x = rectified(0, "images", model.stem.conv.weight[keep[0]], model.stem.stride)  # type: ignore
    for wired in model.body_stages():
        sent: list[str] = []
        blocks, matrices = wired.stage.blocks, masked_blocks(wired)
        for position, level in enumerate(wired.stage.levels[1:]):
            before = wired.stage.levels[position]
            operation, nodes = model.body.node_operation(before.index), keep[before.index]
            kernel = operation.kernel[nodes]
            sent.append(graph.convolution(x, kernel, stride=operation.stride, groups=nodes.numel()))
            columns = [
                matrix[keep[level.index] + level.first - block.target][:, keep[source.index]]
                for block, matrix, source in zip(blocks, matrices, wired.stage.levels, strict=False)
                if source.index < level.index
            ]
            together = graph.add("Concat", *sent, axis=1) if len(sent) > 1 else sent[0]
            x = rectified(level.index, together, torch.cat(columns, dim=1)[:, :, None, None])
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", x))
    linear = model.head.linear
    weight, bias = graph.constant(linear.weight[:, keep[-1]]), graph.constant(linear.bias)
    graph.nodes.append(helper.make_node("Gemm", [pooled, weight, bias], ["logits"], transB=1))
    side = model.image_size
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 3, side, side])
    result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, model.num_classes])
    proto = helper.make_graph(graph.nodes, "network", [given], [result], graph.constants)
    assert len(layout.levels) == len(norms)
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
