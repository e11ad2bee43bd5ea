"""A whole stage by our own C kernels on a CPU: image by image, as long as its states are in cache."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.edge_gradient import EdgeGradient
from dnw_graph.message_passing.executed import record
from dnw_graph.message_passing.native import Native, check_index, check_values
from dnw_graph.message_passing.stage_pass import NodeParameters, Sending, StagePass
from dnw_graph.message_passing.stage_spec import StageSpec
from dnw_graph.native import library
from dnw_graph.native.calls import threads
from dnw_graph.native.status import done
from dnw_graph.native.structures import KERNEL_SUMS, NODE_SUMS, SCALE_SUM, SHIFT_SUM, StageBlock, StageMaps
from dnw_graph.node_operation import native as node_operation

# Pixels of a row lie in the lanes of vectors, of 8 floats at least.
_LANES = 8
# An image with more states leaves the second-level cache, and products of a whole batch are as fast.
_MOST_BYTES = 512 << 10
# Of more pixels, float32 sums would lose digits.
_MOST_PIXELS = 2048
_PURPOSE = "the states of an image in a stage"


def refusal(spec: StageSpec, maps: Sequence[int]) -> str | None:
    """Why `ImageStage` cannot run a stage of maps [S_0, B, H, W], or would be no faster; None if it can."""
    height, width = maps[2:]
    pixels, nodes = height * width, sum(spec.schedule.sizes)
    if spec.backend != Native.name:
        return "only backend native runs a whole stage image by image"
    if spec.node.norm != "instance":
        return f"images depend on each other or take given statistics: norm {spec.node.norm}"
    if spec.node.stride != 1:
        return f"maps change in size: stride {spec.node.stride}"
    if width % _LANES:
        return f"maps are {width} pixels wide, no multiple of {_LANES}"
    if pixels > _MOST_PIXELS or 4 * nodes * pixels > _MOST_BYTES:
        return f"{nodes} states of {height}×{width} pixels leave a core's second-level cache"
    return node_operation.refusal(spec.node)


class ImageStage:
    """A stage with an instance norm and maps of one size, as it is during one step."""

    def __init__(self, stage: StagePass, z: Tensor) -> None:
        """z [S_0, B, H, W] float32. ValueError where operands do not fit."""
        self.sendings, self.backend, self.z = stage.sendings, stage.backend, z.contiguous()
        sizes = stage.spec.schedule.sizes
        self.between, self.senders, self.last = sum(sizes[1:-1]), sum(sizes[:-1]), sizes[-1]
        self._stage = StageMaps(
            levels=len(self.sendings),
            images=z.shape[1],
            start=stage.spec.schedule.start,
            height=z.shape[2],
            width=z.shape[3],
            eps=stage.spec.node.eps,
            senders=self.senders,
            between=self.between,
        )
        of_levels = torch.tensor(sizes)
        parameters = {"scale": self.senders, "shift": self.senders, "kernel": 9 * self.senders}
        # What the kernels are given pointers to lives as long as this.
        self._held = {
            "z": _floats("z", self.z, z.numel()),
            "sizes": of_levels,
            **{name: _floats(name, getattr(stage.parameters, name), n) for name, n in parameters.items()},
            **_edges_of(self.sendings, of_levels, z.shape[2] * z.shape[3]),
        }
        self._point(**self._held)

    def forward(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """States of the last level [S_n, B, H, W]; of those between [B, nodes, H, W]; mean, variance [B, N].

        All but the first are flat; N: sending nodes.
        """
        images = self.z.shape[1]
        out = self.z.new_empty(self.last, *self.z.shape[1:])
        states = self.z.new_empty(images * self.between * self.z.shape[2] * self.z.shape[3])
        mean, variance = (self.z.new_empty(images * self.senders) for _ in range(2))
        self._point(out=out, states=states, mean=mean, variance=variance)
        done(library.load().dnw_stage_forward(ctypes.byref(self._stage), *threads()), _PURPOSE)
        columns = self.z[0].numel()
        for sending in self.sendings:
            index = sending.index
            record(self.backend.executed_macs(index.num_edges, index.blocks, columns))
        return out, states, mean, variance

    def backward(
        self,
        g: Tensor,
        images: slice,
        kept: tuple[Tensor, Tensor, Tensor],
        grad_z: Tensor,
        gradients: NodeParameters,
        edges: EdgeGradient | None,
    ) -> None:
        """Of some images: write ∂L/∂z to grad_z for g = ∂L/∂out, add to gradients of parameters and edges.

        kept: states, mean and variance as `forward` gave them;  g, grad_z: of the whole batch, contiguous
        """
        shape = (images.stop - images.start, *self.z.shape[2:])
        grad_states = None if edges is None else self.z.new_empty(self.between, *shape)
        h = None if edges is None else self.z.new_empty(self.senders, *shape)
        sums = self.z.new_empty(self.senders, NODE_SUMS, dtype=torch.float64)
        self._stage.first_image, self._stage.part = images.start, shape[0]
        states, mean, variance = kept
        self._point(g=g, states=states, mean=mean, variance=variance)
        self._point(grad_z=grad_z, grad_states=grad_states, h=h)
        done(
            library.load().dnw_stage_backward(ctypes.byref(self._stage), sums.data_ptr(), *threads()),
            _PURPOSE,
        )
        gradients.kernel.add_(sums[:, KERNEL_SUMS].view_as(gradients.kernel))
        gradients.shift.add_(sums[:, SHIFT_SUM])
        gradients.scale.add_(sums[:, SCALE_SUM])
        if edges is None or grad_states is None or h is None:
            return
        of_part = g[:, images].contiguous()
        for sending in self.sendings:
            turn, heard = sending.turn, sending.heard_by(grad_states, of_part)
            edges.add(turn, sending.index, heard, h[turn.nodes].view(turn.size, -1))

    def _point(self, **tensors: Tensor | None) -> None:
        for name, tensor in tensors.items():
            setattr(self._stage, name, None if tensor is None else tensor.data_ptr())


def _floats(name: str, tensor: Tensor, count: int) -> Tensor:
    if tensor.dtype != torch.float32 or tensor.numel() != count:
        raise ValueError(f"{name}: {count} float32 values wanted, not {tensor.numel()} {tensor.dtype}")
    return tensor.contiguous()


def _edges_of(sendings: Sequence[Sending], sizes: Tensor, pixels: int) -> dict[str, Tensor]:
    """heard, edges, sent and back of `stage_maps`."""
    for sending in sendings:
        check_index(sending.index)
        check_values(sending.value, sending.index)
    values = [sending.value.contiguous() for sending in sendings]
    of_blocks = (StageBlock * len(sendings))(
        *(
            StageBlock(index.pointer.data_ptr(), index.source.data_ptr(), value.data_ptr(), index.num_targets)
            for index, value in zip((sending.index for sending in sendings), values, strict=True)
        )
    )
    senders, listeners = int(sizes[:-1].sum()), int(sizes[1:].sum())
    count = sum(sending.index.num_edges for sending in sendings)
    found = {
        "heard": sizes.new_empty(listeners + 1),
        # An edge is an int32 and a float32.
        "edges": sizes.new_empty(count),
        "sent": sizes.new_empty(senders + 1),
        "back": sizes.new_empty(count),
    }
    room = sizes.new_empty(senders + listeners)
    pointers = (tensor.data_ptr() for tensor in (*found.values(), room))
    library.load().dnw_stage_edges(of_blocks, sizes.data_ptr(), len(sendings), pixels, *pointers)
    return found
