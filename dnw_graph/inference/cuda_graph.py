"""A compiled network on a GPU as one CUDA graph: one launch per call instead of some hundred."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.inference.compiled import CompiledNetwork
from dnw_graph.message_passing.executed import Executed, record, recording

_WARM_UP = 3


def capture(network: CompiledNetwork, images: Tensor) -> CapturedNetwork:
    """`network` for images of this very shape, dtype and device, which may hold anything.

    Raises InputError if the images are not on a GPU.
    """
    if images.device.type != "cuda":
        raise InputError(
            f"images are on {images.device}, and CUDA graphs run on CUDA devices; call the network itself"
        )
    # Streams and graphs are of the current device, which need not be that of the images.
    with torch.cuda.device(images.device):
        return CapturedNetwork(network, images)


class CapturedNetwork(nn.Module):
    """Images [B, 3, S, S] → logits [B, classes], for one shape of images.

    What the network does is recorded once and replayed: it must not change, and calls must not overlap.
    """

    @torch.no_grad()
    def __init__(self, network: CompiledNetwork, images: Tensor) -> None:
        super().__init__()
        self.network = network
        self._images = images.clone()
        # What is made on first use (constant maps, index tensors, compiled kernels) must not be in the graph.
        side = torch.cuda.Stream(images.device)
        side.wait_stream(torch.cuda.current_stream(images.device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                network.run(self._images)
        torch.cuda.current_stream(images.device).wait_stream(side)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._logits, executed = network.run(self._images)
        self._macs = executed.total

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes]."""
        return self.run(images)[0]

    @torch.no_grad()
    def run(self, images: Tensor) -> tuple[Tensor, Executed]:
        """Logits, and the multiply-accumulates that were asked for when the network was captured."""
        expected = self._images
        if images.shape != expected.shape or images.dtype != expected.dtype:
            raise InputError(
                f"images are {images.dtype} {list(images.shape)}, and the network was captured for "
                f"{expected.dtype} {list(expected.shape)}; capture it for these too"
            )
        self._images.copy_(images)
        self._graph.replay()
        with recording(images.shape[0]) as executed:
            record(self._macs)
        return self._logits.clone(), executed
