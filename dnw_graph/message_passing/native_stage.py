"""A whole stage by our own C kernels on a CPU: image by image, as long as its states are in cache."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.edge_gradient import EdgeGradient
from dnw_graph.message_passing.executed import record
from dnw_graph.message_passing.native import Native, check_index, check_values
from dnw_graph.message_passing.stage_block import Block
from dnw_graph.message_passing.stage_pass import INSTANCE, Parameters, StagePass
from dnw_graph.native import library
from dnw_graph.native.calls import done, threads

# Pixels of a row lie in the lanes of vectors, of 8 floats at least.
_LANES = 8
# An image with more states leaves the second-level cache, and products of a whole batch are as fast.
_MOST_BYTES = 512 << 10
# Of more pixels, float32 sums would lose digits.
_MOST_PIXELS = 2048
_PURPOSE = "the states of an image in a stage"
# NODE_SUMS of kernels.h: gradients of a node's kernel, shift and scale, and room.
_SUMS, _KERNEL, _SHIFT, _SCALE = 16, slice(9), 9, 10


def goes_by_image(stage: StagePass, z: Tensor, sizes: Sequence[int]) -> bool:
    """Whether `ImageStage` can run a stage, and fast. z [S_0, B, H, W]; sizes: nodes of all levels."""
    pixels = z.shape[2] * z.shape[3]
    small = pixels <= _MOST_PIXELS and sum(sizes) * pixels * z.element_size() <= _MOST_BYTES
    fits = z.shape[3] % _LANES == 0 and stage.stride == 1
    return isinstance(stage.engine, Native) and stage.norm == INSTANCE and fits and small


class ImageStage:
    """A stage with an instance norm and maps of one size, as it is during one step."""

    def __init__(self, stage: StagePass, z: Tensor, sizes: Sequence[int]) -> None:
        """z [S_0, B, H, W] float32; sizes: nodes of all levels. ValueError where operands do not fit."""
        self.blocks, self.engine, self.z = stage.blocks, stage.engine, z.contiguous()
        self.between, self.senders, self.last = sum(sizes[1:-1]), sum(sizes[:-1]), sizes[-1]
        self._stage = _Stage(
            levels=len(self.blocks),
            images=z.shape[1],
            carry=stage.carry,
            height=z.shape[2],
            width=z.shape[3],
            eps=stage.eps,
            senders=self.senders,
            between=self.between,
        )
        of_levels = torch.tensor(list(sizes))
        parameters = {"scale": self.senders, "shift": self.senders, "kernel": 9 * self.senders}
        # What the kernels are given pointers to lives as long as this.
        self._held = {
            "z": _floats("z", self.z, z.numel()),
            "sizes": of_levels,
            **{name: _floats(name, getattr(stage.parameters, name), n) for name, n in parameters.items()},
            **_edges_of(self.blocks, of_levels, z.shape[2] * z.shape[3]),
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
        for block in self.blocks:
            place = block.place
            record(self.engine.executed_macs(block.edges, place.targets, place.size, columns))
        return out, states, mean, variance

    def backward(
        self,
        g: Tensor,
        images: slice,
        kept: tuple[Tensor, Tensor, Tensor],
        grad_z: Tensor,
        gradients: Parameters,
        edges: EdgeGradient | None,
    ) -> None:
        """Of some images: write ∂L/∂z to grad_z for g = ∂L/∂out, add to gradients of parameters and edges.

        kept: states, mean and variance as `forward` gave them;  g, grad_z: of the whole batch, contiguous
        """
        shape = (images.stop - images.start, *self.z.shape[2:])
        grad_states = None if edges is None else self.z.new_empty(self.between, *shape)
        h = None if edges is None else self.z.new_empty(self.senders, *shape)
        sums = self.z.new_empty(self.senders, _SUMS, dtype=torch.float64)
        self._stage.first_image, self._stage.part = images.start, shape[0]
        states, mean, variance = kept
        self._point(g=g, states=states, mean=mean, variance=variance)
        self._point(grad_z=grad_z, grad_states=grad_states, h=h)
        done(
            library.load().dnw_stage_backward(ctypes.byref(self._stage), sums.data_ptr(), *threads()),
            _PURPOSE,
        )
        gradients.kernel += sums[:, _KERNEL].view_as(gradients.kernel)
        gradients.shift += sums[:, _SHIFT]
        gradients.scale += sums[:, _SCALE]
        if edges is None or grad_states is None or h is None:
            return
        of_part = g[:, images].contiguous()
        for block in self.blocks:
            place = block.place
            edges.add(block, place.reached(grad_states, of_part), h[place.nodes].view(place.size, -1))

    def _point(self, **tensors: Tensor | None) -> None:
        for name, tensor in tensors.items():
            setattr(self._stage, name, None if tensor is None else tensor.data_ptr())


def _floats(name: str, tensor: Tensor, count: int) -> Tensor:
    if tensor.dtype != torch.float32 or tensor.numel() != count:
        raise ValueError(f"{name}: {count} float32 values wanted, not {tensor.numel()} {tensor.dtype}")
    return tensor.contiguous()


def _edges_of(blocks: Sequence[Block], sizes: Tensor, pixels: int) -> dict[str, Tensor]:
    """heard, edges, sent and back of `stage_maps`."""
    for block in blocks:
        check_index(block.pointer, block.source, block.place.size)
        check_values(block.value, block.source)
        if block.pointer.numel() != block.place.targets + 1:
            raise ValueError(
                f"pointer of {block.place.targets + 1} numbers wanted, not {block.pointer.numel()}"
            )
    values = [block.value.contiguous() for block in blocks]
    of_blocks = (_Block * len(blocks))(
        *(
            _Block(block.pointer.data_ptr(), block.source.data_ptr(), value.data_ptr(), block.place.targets)
            for block, value in zip(blocks, values, strict=True)
        )
    )
    senders, listeners = int(sizes[:-1].sum()), int(sizes[1:].sum())
    count = sum(block.edges for block in blocks)
    found = {
        "heard": sizes.new_empty(listeners + 1),
        # An edge is an int32 and a float32.
        "edges": sizes.new_empty(count),
        "sent": sizes.new_empty(senders + 1),
        "back": sizes.new_empty(count),
    }
    room = sizes.new_empty(senders + listeners)
    pointers = (tensor.data_ptr() for tensor in (*found.values(), room))
    library.load().dnw_stage_edges(of_blocks, sizes.data_ptr(), len(blocks), pixels, *pointers)
    return found


_pointer, _long = ctypes.c_void_p, ctypes.c_int64


class _Block(ctypes.Structure):
    """`stage_block` of stage_training.c."""

    _fields_ = [*((name, _pointer) for name in ("pointer", "source", "value")), ("targets", _long)]


class _Stage(ctypes.Structure):
    """`stage_maps` of kernels.h."""

    _fields_ = [
        *((name, _long) for name in ("levels", "images", "carry")),
        *((name, ctypes.c_int) for name in ("height", "width")),
        ("eps", ctypes.c_float),
        ("sizes", _pointer),
        *((name, _long) for name in ("senders", "between")),
        *((name, _pointer) for name in ("heard", "edges", "sent", "back", "scale", "shift", "kernel")),
        *((name, _pointer) for name in ("z", "states", "mean", "variance", "out", "g")),
        *((name, _long) for name in ("first_image", "part")),
        *((name, _pointer) for name in ("grad_z", "grad_states", "h")),
    ]
