"""Backend `triton`: our own kernels on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend, register_backend
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.triton import availability


@register_backend
class Triton(Backend):
    """A program walks the edges of one target and sums a tile of its columns.

    float32, bfloat16 and float16, summed in float32. No call waits for the device.
    """

    name = "triton"

    def __init__(self) -> None:
        # Looked up once: `auto` asks on every step.
        self._reason = availability.reason()

    def reason(self) -> str | None:
        return self._reason

    def refusal(self, device: torch.device, dtype: torch.dtype) -> str | None:
        return availability.refusal(device, dtype)

    def slices(self, device: torch.device) -> bool:
        return True

    def send(
        self,
        index: EdgeIndex,
        value: Tensor,
        h: Tensor,
        into: Sequence[Tensor] | None = None,
        *,
        add: bool = False,
    ) -> Sequence[Tensor]:
        from dnw_graph.triton.messages import weighted_rows

        pointer, column = index.derived("int32", lambda: (index.pointer.int(), index.source.int()))
        z = into or (h.new_empty(index.num_targets, h.shape[1]),)
        rows = pointer[index.rows.start : index.rows.stop + 1]
        weighted_rows((h.contiguous(),), z, value, rows, column, add=add, first_column=index.columns.start)
        return z

    def send_back(self, index: EdgeIndex, value: Tensor, g: Sequence[Tensor]) -> Tensor:
        from dnw_graph.triton.messages import weighted_rows

        order, pointer, row = index.derived(
            "int32 by source", lambda: tuple(each.int() for each in index.by_source())
        )
        d = g[0].new_empty(index.num_sources, g[0].shape[1])
        rows = pointer[index.columns.start : index.columns.stop + 1]
        parts = [part.contiguous() for part in g]
        weighted_rows(parts, (d,), value, rows, row, order, add=False, first_column=index.rows.start)
        return d

    def edge_gradient(self, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> Tensor:
        from dnw_graph.triton.messages import products_of_rows

        row, column = index.derived("int32 ends", lambda: (index.targets().int(), index.source.int()))
        return products_of_rows([part.contiguous() for part in g], h.contiguous(), row, column)
