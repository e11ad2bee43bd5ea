"""Backend `triton`: our own kernels on a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend, prepared, register_backend
from dnw_graph.message_passing.edge_index import by_source, rows_of
from dnw_graph.message_passing.stage_index import StageIndex
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

    def aggregate(self, h: Tensor, value: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        z = h.new_empty(pointer.numel() - 1, h.shape[1])
        self.accumulate((z,), h, value, pointer, source, add=False)
        return z

    def accumulate(
        self, z: Sequence[Tensor], h: Tensor, value: Tensor, pointer: Tensor, source: Tensor, *, add: bool
    ) -> None:
        from dnw_graph.triton.messages import weighted_rows

        start, column = prepared(pointer, source, "int32", lambda: (pointer.int(), source.int()))
        weighted_rows((h.contiguous(),), z, value, start, column, add=add)

    def transposed(
        self, g: Tensor, value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        return self.transposed_of_pieces((g,), value, pointer, source, num_sources)

    def transposed_of_pieces(
        self, g: Sequence[Tensor], value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        from dnw_graph.triton.messages import weighted_rows

        order, reverse, target = prepared(
            pointer,
            source,
            f"int32 by source {num_sources}",
            lambda: tuple(each.int() for each in by_source(pointer, source, num_sources)),
        )
        d = g[0].new_empty(num_sources, g[0].shape[1])
        weighted_rows([part.contiguous() for part in g], (d,), value, reverse, target, order, add=False)
        return d

    # By the index of a whole stage, of which the host knows the number of edges and no value: it never waits.

    def by_stage(self, device: torch.device) -> bool:
        return True

    def accumulate_block(
        self, z: Sequence[Tensor], h: Tensor, value: Tensor, index: StageIndex, block: int, *, add: bool
    ) -> None:
        """`accumulate` over the edges of one block of a stage; value [k]: of all edges of the stage."""
        from dnw_graph.triton.messages import weighted_rows

        pointer, column = prepared(
            index.pointer, index.column, "int32", lambda: (index.pointer.int(), index.column.int())
        )
        rows = pointer[index.rows[block] : index.rows[block + 1] + 1]
        weighted_rows((h.contiguous(),), z, value, rows, column, add=add, first_column=index.columns[block])

    def transposed_block(self, g: Sequence[Tensor], value: Tensor, index: StageIndex, block: int) -> Tensor:
        """`transposed_of_pieces` over the edges of one block of a stage; value as above."""
        from dnw_graph.triton.messages import weighted_rows

        order, pointer, row = prepared(
            index.pointer,
            index.column,
            "int32 by column",
            lambda: tuple(each.int() for each in index.by_column()),
        )
        first, end = index.columns[block], index.columns[block + 1]
        d = g[0].new_empty(end - first, g[0].shape[1])
        parts = [part.contiguous() for part in g]
        rows = pointer[first : end + 1]
        weighted_rows(parts, (d,), value, rows, row, order, add=False, first_column=index.rows[block])
        return d

    def edge_gradient(self, g: Tensor, h: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        return self.edge_gradient_of_pieces((g,), h, pointer, source)

    def edge_gradient_of_pieces(
        self, g: Sequence[Tensor], h: Tensor, pointer: Tensor, source: Tensor
    ) -> Tensor:
        from dnw_graph.triton.messages import products_of_rows

        row, column = prepared(
            pointer, source, "int32 ends", lambda: (rows_of(pointer, source.numel()).int(), source.int())
        )
        return products_of_rows([part.contiguous() for part in g], h.contiguous(), row, column)
