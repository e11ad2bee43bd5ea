"""Backend `native`: our own C kernels on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend, prepared, register_backend
from dnw_graph.message_passing.edge_index import by_source
from dnw_graph.native import library


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
            return "the C kernels know float32; use training.precision float32, or backend csr or dense"
        return None

    def aggregate(self, h: Tensor, value: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        _check(pointer, source, h.shape[0])
        return _product(h, value, pointer, source)

    def transposed(
        self, g: Tensor, value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        _check(pointer, source, num_sources)
        order, reverse, target = prepared(
            pointer, source, f"by source {num_sources}", lambda: by_source(pointer, source, num_sources)
        )
        return _product(g, value[order], reverse, target)

    def edge_gradient(self, g: Tensor, h: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        _check(pointer, source, h.shape[0])
        result = g.new_empty(source.numel())
        g, h = g.contiguous(), h.contiguous()
        library.load().dnw_edge_products(
            g.data_ptr(),
            h.data_ptr(),
            g.shape[0],
            g.shape[1],
            pointer.data_ptr(),
            source.data_ptr(),
            result.data_ptr(),
            torch.get_num_threads(),
            library.instructions().encode(),
        )
        return result


def _product(features: Tensor, value: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
    features, value = features.contiguous(), value.contiguous()
    result = features.new_empty(pointer.numel() - 1, features.shape[1])
    done = library.load().dnw_product(
        features.data_ptr(),
        result.data_ptr(),
        features.shape[0],
        result.shape[0],
        result.shape[1],
        pointer.data_ptr(),
        source.data_ptr(),
        value.data_ptr(),
        torch.get_num_threads(),
        library.instructions().encode(),
    )
    if done != 1:
        raise MemoryError(f"no memory to pack features of {features.shape[0]} nodes")
    return result


def _check(pointer: Tensor, source: Tensor, num_sources: int) -> None:
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
