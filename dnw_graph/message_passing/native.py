"""Backend `native`: our own C kernels on a CPU."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend, prepared, register_backend
from dnw_graph.message_passing.edge_index import by_source
from dnw_graph.native import library
from dnw_graph.native.calls import done, threads

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

    def aggregate(self, h: Tensor, value: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        z = h.new_empty(pointer.numel() - 1, h.shape[1])
        self.accumulate((z,), h, value, pointer, source, add=False)
        return z

    def accumulate(
        self, z: Sequence[Tensor], h: Tensor, value: Tensor, pointer: Tensor, source: Tensor, *, add: bool
    ) -> None:
        check_index(pointer, source, h.shape[0])
        _product(z, (h,), value, pointer, source, add=add)

    def transposed(
        self, g: Tensor, value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        return self.transposed_of_pieces((g,), value, pointer, source, num_sources)

    def transposed_of_pieces(
        self, g: Sequence[Tensor], value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        check_index(pointer, source, num_sources)
        _rows(g, pointer)
        check_values(value, source)
        order, reverse, target = prepared(
            pointer, source, f"by source {num_sources}", lambda: by_source(pointer, source, num_sources)
        )
        d = g[0].new_empty(num_sources, g[0].shape[1])
        _product((d,), g, value[order], reverse, target, add=False)
        return d

    def edge_gradient(self, g: Tensor, h: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        return self.edge_gradient_of_pieces((g,), h, pointer, source)

    def edge_gradient_of_pieces(
        self, g: Sequence[Tensor], h: Tensor, pointer: Tensor, source: Tensor
    ) -> Tensor:
        check_index(pointer, source, h.shape[0])
        gradient, h = h.new_empty(source.numel()), h.contiguous()
        parts, columns = [part.contiguous() for part in g], h.shape[1]
        arguments = _EdgeArguments(
            _pieces(parts, columns),
            _pieces([h], columns).first,
            h.shape[0],
            _rows(parts, pointer),
            columns,
            pointer.data_ptr(),
            source.data_ptr(),
            gradient.data_ptr(),
        )
        done(library.load().dnw_edge_products(ctypes.byref(arguments), *threads()), _PURPOSE)
        return gradient


class _Pieces(ctypes.Structure):
    """`pieces` of kernels.h."""

    _fields_ = [("first", ctypes.c_void_p), ("rest", ctypes.c_void_p), ("split", ctypes.c_int64)]


class _ProductArguments(ctypes.Structure):
    """`product_arguments` of kernels.h."""

    _fields_ = [
        *((name, _Pieces) for name in ("sources", "targets")),
        *((name, ctypes.c_int64) for name in ("num_sources", "num_targets", "columns")),
        *((name, ctypes.c_void_p) for name in ("pointer", "source", "value")),
        ("add", ctypes.c_int),
    ]


class _EdgeArguments(ctypes.Structure):
    """`edge_arguments` of kernels.h."""

    _fields_ = [
        ("g", _Pieces),
        ("h", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("num_sources", "num_targets", "columns")),
        *((name, ctypes.c_void_p) for name in ("pointer", "source", "out")),
    ]


def _product(
    targets: Sequence[Tensor],
    sources: Sequence[Tensor],
    value: Tensor,
    pointer: Tensor,
    source: Tensor,
    *,
    add: bool,
) -> None:
    check_values(value, source)
    sources, value = [part.contiguous() for part in sources], value.contiguous()
    columns = targets[0].shape[1]
    arguments = _ProductArguments(
        _pieces(sources, columns),
        _pieces(targets, columns),
        sum(part.shape[0] for part in sources),
        _rows(targets, pointer),
        columns,
        pointer.data_ptr(),
        source.data_ptr(),
        value.data_ptr(),
        int(add),
    )
    done(library.load().dnw_product(ctypes.byref(arguments), *threads()), _PURPOSE)


def _pieces(parts: Sequence[Tensor], columns: int) -> _Pieces:
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
    return _Pieces(first.data_ptr(), rest.data_ptr(), first.shape[0])


def check_values(value: Tensor, source: Tensor) -> None:
    if value.shape != source.shape or value.dtype != torch.float32:
        raise ValueError(f"{source.numel()} float32 values wanted, one per edge, not {value.numel()}")


def _rows(parts: Sequence[Tensor], pointer: Tensor) -> int:
    rows = sum(part.shape[0] for part in parts)
    if rows != pointer.numel() - 1:
        raise ValueError(f"{rows} rows do not fit the {pointer.numel() - 1} targets of the wiring")
    return rows


def check_index(pointer: Tensor, source: Tensor, num_sources: int) -> None:
    """Refuse index tensors that would make the kernels read elsewhere; once per wiring."""
    prepared(pointer, source, f"checked {num_sources}", lambda: _checked(pointer, source, num_sources))


def _checked(pointer: Tensor, source: Tensor, num_sources: int) -> bool:
    for name, index in (("pointer", pointer), ("source", source)):
        if index.dtype != torch.int64 or not index.is_contiguous() or index.device.type != "cpu":
            raise ValueError(f"{name} must be a contiguous int64 tensor on the CPU, not {index.dtype}")
    if int(pointer[0]) != 0 or int(pointer[-1]) != source.numel() or bool((pointer.diff() < 0).any()):
        raise ValueError(f"pointer must rise from 0 to the {source.numel()} edges")
    if source.numel() and not 0 <= int(source.min()) <= int(source.max()) < num_sources:
        raise ValueError(f"source must hold numbers from 0 to {num_sources - 1}")
    return True
