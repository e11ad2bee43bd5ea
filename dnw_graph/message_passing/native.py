"""Backend `native`: our own C kernels on a CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend, register_backend
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.native import library
from dnw_graph.native.calls import threads
from dnw_graph.native.status import done
from dnw_graph.native.structures import EdgeArguments, Pieces, ProductArguments

_PURPOSE = "the features of a message-passing product"


@register_backend
class Native(Backend):
    """A tile of columns of each target stays in registers while its edges go by."""

    name = "native"

    def __init__(self) -> None:
        # Looked up once: `auto` asks on every step, and torch.compile cannot follow the loading of a library.
        self._reason = library.reason()

    def reason(self) -> str | None:
        return self._reason

    def refusal(self, device: torch.device, dtype: torch.dtype) -> str | None:
        if device.type != "cpu":
            return "the C kernels run on a CPU; use backend csr or dense"
        if dtype != torch.float32:
            others = "csr or dense" if dtype == torch.float64 else "dense"
            return f"the C kernels know float32; use training.precision float32, or backend {others}"
        return None

    def send(
        self,
        index: EdgeIndex,
        value: Tensor,
        h: Tensor,
        into: Sequence[Tensor] | None = None,
        *,
        add: bool = False,
    ) -> Sequence[Tensor]:
        check_index(index)
        check_values(value, index)
        _rows((h,), index.num_sources)
        z = into or (h.new_empty(index.num_targets, h.shape[1]),)
        _product(z, (h,), value, index.pointer, index.source, add=add)
        return z

    def send_back(self, index: EdgeIndex, value: Tensor, g: Sequence[Tensor]) -> Tensor:
        check_index(index)
        _rows(g, index.num_targets)
        check_values(value, index)
        order, reverse, target = index.derived("by source", index.by_source)
        d = g[0].new_empty(index.num_sources, g[0].shape[1])
        _product((d,), g, value[order], reverse, target, add=False)
        return d

    def edge_gradient(self, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> Tensor:
        check_index(index)
        gradient, h = h.new_empty(index.num_edges), h.contiguous()
        parts, columns = [part.contiguous() for part in g], h.shape[1]
        arguments = EdgeArguments(
            _pieces(parts, columns),
            _pieces([h], columns).first,
            _rows((h,), index.num_sources),
            _rows(parts, index.num_targets),
            columns,
            index.pointer.data_ptr(),
            index.source.data_ptr(),
            gradient.data_ptr(),
        )
        done(library.load().dnw_edge_products(ctypes.byref(arguments), *threads()), _PURPOSE)
        return gradient


def _product(
    targets: Sequence[Tensor],
    sources: Sequence[Tensor],
    value: Tensor,
    pointer: Tensor,
    source: Tensor,
    *,
    add: bool,
) -> None:
    """By pointer and source of a CSR matrix of which `check_index` was asked."""
    sources, value = [part.contiguous() for part in sources], value.contiguous()
    columns = targets[0].shape[1]
    arguments = ProductArguments(
        _pieces(sources, columns),
        _pieces(targets, columns),
        sum(part.shape[0] for part in sources),
        _rows(targets, pointer.numel() - 1),
        columns,
        pointer.data_ptr(),
        source.data_ptr(),
        value.data_ptr(),
        int(add),
    )
    done(library.load().dnw_product(ctypes.byref(arguments), *threads()), _PURPOSE)


def _pieces(parts: Sequence[Tensor], columns: int) -> Pieces:
    """Matrices [rows, columns] whose rows follow each other; two at most."""
    if not 1 <= len(parts) <= 2:
        raise ValueError(f"one or two matrices wanted, not {len(parts)}")
    for part in parts:
        fits = part.dim() == 2 and part.shape[1] == columns and part.is_contiguous()
        if not fits or part.dtype != torch.float32 or part.device.type != "cpu":
            raise ValueError(
                f"contiguous float32 [rows, {columns}] on the CPU wanted, not {part.dtype} {[*part.shape]}"
            )
    first, rest = parts[0], parts[-1]
    return Pieces(first.data_ptr(), rest.data_ptr(), first.shape[0])


def check_values(value: Tensor, index: EdgeIndex) -> None:
    if value.shape != index.source.shape or value.dtype != torch.float32:
        raise ValueError(f"{index.num_edges} float32 values wanted, one per edge, not {value.numel()}")


def _rows(parts: Sequence[Tensor], wanted: int) -> int:
    rows = sum(part.shape[0] for part in parts)
    if rows != wanted:
        raise ValueError(f"{rows} rows do not fit the {wanted} nodes of the wiring")
    return rows


def check_index(index: EdgeIndex) -> None:
    """Refuse index tensors that would make the kernels read elsewhere; once per wiring."""
    index.derived(
        "checked", lambda: _checked(index.pointer, index.source, index.num_targets, index.num_sources)
    )


def _checked(pointer: Tensor, source: Tensor, num_targets: int, num_sources: int) -> bool:
    for name, index in (("pointer", pointer), ("source", source)):
        if index.dtype != torch.int64 or not index.is_contiguous() or index.device.type != "cpu":
            raise ValueError(f"{name} must be a contiguous int64 tensor on the CPU, not {index.dtype}")
    if pointer.numel() != num_targets + 1:
        raise ValueError(f"pointer of {num_targets + 1} numbers wanted, not {pointer.numel()}")
    if int(pointer[0]) != 0 or int(pointer[-1]) != source.numel() or bool((pointer.diff() < 0).any()):
        raise ValueError(f"pointer must rise from 0 to the {source.numel()} edges")
    if source.numel() and not 0 <= int(source.min()) <= int(source.max()) < num_sources:
        raise ValueError(f"source must hold numbers from 0 to {num_sources - 1}")
    return True
