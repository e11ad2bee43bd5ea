"""Index tensors of a whole stage, kept as long as the wiring leaves them true."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate, pairwise

import numpy as np
import torch
from torch import Tensor
from torch._guards import detect_fake_mode
from torch._subclasses import FakeTensor

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Block
from dnw_graph.message_passing.edge_index import EdgeIndex, bounds_of


def index_of_stage(ids: Tensor, blocks: Sequence[Block]) -> EdgeIndex:
    """Index of the ascending candidate ids [k] int64 of the stage that has these blocks.

    Its positions are the ids. All shapes follow from the stage and the number of edges, so that making it
    reads no value: on a GPU the host does not wait.
    """
    return _index_of(ids, tuple(blocks), _rows_on(tuple(blocks), ids.device))


def _index_of(ids: Tensor, blocks: tuple[Block, ...], tables: tuple[Tensor, Tensor]) -> EdgeIndex:
    """`index_of_stage`, given what follows from the blocks alone."""
    start, shift = tables
    row = torch.searchsorted(start, ids, right=True) - 1
    return EdgeIndex(torch.searchsorted(ids, start), ids + shift[row], ids, _shapes(blocks))


def _shapes(blocks: Sequence[Block]) -> tuple[tuple[int, int], ...]:
    return tuple((block.num_targets, block.num_sources) for block in blocks)


def is_readable(ids: Tensor) -> bool:
    """Whether a tensor has values: on device "meta" and in torch's FakeTensorMode it has only a shape."""
    if ids.is_meta or isinstance(ids, FakeTensor):
        return False
    return not torch._C._len_torch_dispatch_stack() or detect_fake_mode() is None


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


def _let_sizes_vary(ids: Tensor, indices: Sequence[EdgeIndex]) -> None:
    """Tell torch.compile that numbers of edges change, so that one program serves all wirings.

    Else it would find out block by block, with a new program each time.
    """
    # Whoever compiles has imported it; for the others that would take two seconds.
    dynamo = sys.modules.get("torch._dynamo")
    # A thread may be importing it just now.
    mark = getattr(dynamo, "maybe_mark_dynamic", None)
    if mark is not None:
        mark(ids, 0)
        for index in indices:
            mark(index.source, 0)
            mark(index.position, 0)


@torch.library.custom_op("dnw_wiring::positions", mutates_args=())
def positions_now(ids: Tensor, held: Sequence[Tensor], first: Sequence[int], stage: str) -> list[Tensor]:
    """`held` positions of each block, copied, for a program that was compiled with them as inputs.

    ids    [k] what the stage's buffer `selected` holds when the program runs
    first  the id that position 0 of each block stands for
    Raises InputError, naming the stage, if the ids are others. Reads values.
    """
    bounds = [0, *accumulate(each.numel() for each in held)]
    same = bounds[-1] == ids.numel() and all(
        torch.equal(ids[start:end], each + offset)
        for (start, end), each, offset in zip(pairwise(bounds), held, first, strict=True)
    )
    if not same:
        raise InputError(
            f"the buffer selected of {stage} was written in place, which a compiled network cannot follow; "
            "use load_state_dict, which it does follow"
        )
    return [each.clone() for each in held]


@positions_now.register_fake
def _(ids, held, first, stage):  # type: ignore[no-untyped-def]
    return [torch.empty_like(each) for each in held]


class StageIndices:
    """Index tensors of the wiring that a stage's buffer `selected` holds, per block and for the whole.

    `hold` tells whether the buffer still says what they were made from, `update` makes them anew.
    On a CPU a new wiring makes those of the blocks that it changes; the others stay the very same tensors,
    and with them what backends derived from them. Elsewhere the sizes of blocks are known to the device only.
    The whole index needs none of them. For backends that want blocks, the few numbers where blocks begin are
    copied to the host while the device works on; `blocks` waits for them, once per wiring, and no earlier.
    A stage of one block has none.
    """

    def __init__(self, blocks: Sequence[Block], stage: str = "the stage") -> None:
        self._layout, self._stage = tuple(blocks), stage
        self._ids = torch.empty(0, dtype=torch.int64)
        self._version = 0
        self._tables: tuple[Tensor, Tensor] | None = None
        self._blocks: list[EdgeIndex] | None = None
        self._whole: EdgeIndex | None = None
        self._cuts: Tensor | None = None
        self._copied: torch.cuda.Event | None = None

    @property
    def device(self) -> torch.device:
        return self._ids.device

    def hold(self, ids: Tensor) -> bool:
        """Whether these tensors are those of what the buffer `ids` holds now. Never waits for the device.

        On a CPU the ids themselves are compared. Elsewhere torch's count of writes tells: it misses those
        through `ids.data` and those of a plain `torch.distributed.broadcast`.
        """
        if ids.device != self._ids.device or ids.shape != self._ids.shape or ids.dtype != self._ids.dtype:
            return False
        if ids.device.type == "cpu":
            return not is_readable(ids) or np.array_equal(ids.numpy(), self._ids.numpy())
        return ids is self._ids and (ids.is_inference() or ids._version == self._version)

    def update(self, ids: Tensor, *, may_wait: bool) -> None:
        """Take over a wiring: ids [k] int64, ascending. `may_wait`: reading its values costs nothing."""
        kept = self._blocks
        # A copy where later writes are found by comparing.
        self._ids = ids.clone() if ids.device.type == "cpu" else ids
        self._version = 0 if ids.is_inference() else ids._version
        self._whole, self._cuts, self._copied = None, None, None
        if self._tables is None or self._tables[0].device != ids.device:
            self._tables = _rows_on(self._layout, ids.device)
        if may_wait:
            ends = [block.end for block in self._layout[:-1]]
            self._blocks = self._split(np.searchsorted(self._ids.cpu().numpy(), ends).tolist(), kept)
            _let_sizes_vary(ids, self._blocks)
            return
        self._blocks, self._whole = None, index_of_stage(self._ids, self._layout)
        _let_sizes_vary(ids, [])
        if len(self._layout) == 1 or ids.is_meta:
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

    def blocks_in_program(self, ids: Tensor) -> list[EdgeIndex]:
        """`blocks` for torch.compile and torch.export: the program checks that `ids` is what it was.

        Elsewhere than on a CPU the check waits for the device.
        """
        held = self.blocks()
        first = [block.offset for block in self._layout]
        positions = positions_now(ids, [index.position for index in held], first, self._stage)
        return [replace(index, position=position) for index, position in zip(held, positions, strict=True)]

    def whole(self) -> EdgeIndex:
        """Index tensors of all selected edges; on a CPU made when first asked for."""
        if self._whole is None:
            self._whole = index_of_stage(self._ids, self._layout)
        return self._whole

    def whole_in_program(self, ids: Tensor) -> EdgeIndex:
        """`whole` for torch.compile and torch.export: the program derives it from `ids`."""
        assert self._tables is not None
        return _index_of(ids, self._layout, self._tables)

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
