"""Index tensors of a whole stage, kept as long as the wiring leaves them true."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from dnw_graph.graph.layout import Block
from dnw_graph.message_passing.edge_index import EdgeIndex, bounds_of


def index_of_stage(ids: Tensor, blocks: Sequence[Block]) -> EdgeIndex:
    """Index of the ascending candidate ids [k] int64 of the stage that has these blocks.

    Its positions are the ids. All shapes follow from the stage and the number of edges, so that making it
    reads no value: on a GPU the host does not wait.
    """
    start, shift = _rows_on(tuple(blocks), ids.device)
    row = torch.searchsorted(start, ids, right=True) - 1
    return EdgeIndex(torch.searchsorted(ids, start), ids + shift[row], ids, _shapes(blocks))


def _shapes(blocks: Sequence[Block]) -> tuple[tuple[int, int], ...]:
    return tuple((block.num_targets, block.num_sources) for block in blocks)


@lru_cache(maxsize=64)
def _rows_on(blocks: tuple[Block, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each row: its first candidate's id (and the end of all); what makes an id of it a column."""
    starts = [block.offset + np.arange(block.num_targets) * block.num_sources for block in blocks]
    first_id = np.concatenate([*starts, [blocks[-1].end]])
    rows, columns = bounds_of(_shapes(blocks))
    shift = np.repeat(columns[:-1], np.diff(rows)) - first_id[:-1]
    return torch.from_numpy(first_id).to(device), torch.from_numpy(shift).to(device)


@lru_cache(maxsize=64)
def _ends_on(blocks: tuple[Block, ...], device: torch.device) -> Tensor:
    """The id after the last candidate of each block but the last."""
    return torch.tensor([block.end for block in blocks[:-1]], dtype=torch.int64, device=device)


def _let_sizes_vary(indices: Sequence[EdgeIndex]) -> None:
    """Tell torch.compile that numbers of edges change, so that one program serves all wirings.

    Else it would find out block by block, with a new program each time.
    """
    # Whoever compiles has imported it; for the others that would take two seconds.
    dynamo = sys.modules.get("torch._dynamo")
    # A thread may be importing it just now.
    mark = getattr(dynamo, "maybe_mark_dynamic", None)
    if mark is not None:
        for index in indices:
            mark(index.source, 0)
            mark(index.position, 0)


class StageIndices:
    """Index tensors of the present wiring of a stage, per block and for the whole.

    On a CPU a new wiring makes those of the blocks that it changes; the others stay the very same tensors,
    and with them what backends derived from them. Elsewhere the sizes of blocks are known to the device only.
    The whole index needs none of them. For backends that want blocks, the few numbers where blocks begin are
    copied to the host while the device works on; `blocks` waits for them, once per wiring, and no earlier.
    A stage of one block has none.
    """

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._layout = tuple(blocks)
        self._ids = torch.empty(0, dtype=torch.int64)
        self._blocks: list[EdgeIndex] | None = None
        self._whole: EdgeIndex | None = None
        self._cuts: Tensor | None = None
        self._copied: torch.cuda.Event | None = None

    @property
    def device(self) -> torch.device:
        return self._ids.device

    def update(self, ids: Tensor, *, may_wait: bool) -> None:
        """Take over a wiring: ids [k] int64, ascending. `may_wait`: reading its values costs nothing."""
        kept = self._blocks
        self._ids, self._whole, self._cuts, self._copied = ids, None, None, None
        if may_wait:
            ends = [block.end for block in self._layout[:-1]]
            self._blocks = self._split(np.searchsorted(ids.cpu().numpy(), ends).tolist(), kept)
            _let_sizes_vary(self._blocks)
            return
        self._blocks, self._whole = None, index_of_stage(ids, self._layout)
        if len(self._layout) == 1:
            return
        cuts = torch.searchsorted(ids, _ends_on(self._layout, ids.device))
        self._cuts = cuts.to("cpu", non_blocking=True)
        if ids.device.type == "cuda":
            self._copied = torch.cuda.Event()
            # Of the device of the ids, which need not be the current one.
            self._copied.record(torch.cuda.current_stream(ids.device))

    def blocks(self) -> list[EdgeIndex]:
        """Index tensors of each block's selected edges, in block order."""
        if self._blocks is None:
            if self._copied is not None:
                self._copied.synchronize()
            self._blocks = self._split([] if self._cuts is None else self._cuts.tolist(), None)
        return self._blocks

    def whole(self) -> EdgeIndex:
        """Index tensors of all selected edges; on a CPU made when first asked for."""
        if self._whole is None:
            self._whole = index_of_stage(self._ids, self._layout)
        return self._whole

    def _split(self, cuts: list[int], kept: list[EdgeIndex] | None) -> list[EdgeIndex]:
        bounds = [0, *cuts, self._ids.numel()]
        result: list[EdgeIndex] = []
        for number, (block, (start, end)) in enumerate(zip(self._layout, pairwise(bounds), strict=True)):
            position, index = self._ids[start:end] - block.offset, None if kept is None else kept[number]
            if index is None or index.source.device != position.device or not index.position.equal(position):
                index = EdgeIndex.of_positions(position, block.num_targets, block.num_sources)
            result.append(index)
        return result

    def __getstate__(self) -> dict[str, object]:
        # An event belongs to its stream and cannot be copied. What it waits for can, once it is here.
        if self._copied is not None:
            self._copied.synchronize()
        return self.__dict__ | {"_copied": None}
