"""Backend `csr`: torch's compressed sparse rows (MKL on a CPU, cuSPARSE on a GPU)."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend, joined, put, register_backend
from dnw_graph.message_passing.edge_index import EdgeIndex

_HAS_MKL = torch.backends.mkl.is_available()
_NO_MKL = "this torch has no MKL for sparse products on the CPU; install an x86-64 build of torch"


@register_backend
class Csr(Backend):
    """One sparse-dense product per source level."""

    name = "csr"

    def reason(self) -> str | None:
        return None if _HAS_MKL or torch.cuda.is_available() else _NO_MKL

    def refusal(self, device: torch.device, dtype: torch.dtype) -> str | None:
        if device.type == "cpu" and not _HAS_MKL:
            return _NO_MKL
        if device.type == "cpu" and dtype not in (torch.float32, torch.float64):
            return "MKL's products know float32 and float64; use training.precision float32 or backend dense"
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
        return put(_product(_csr(index.pointer, index.source, value, h.shape[0]), h), into, add=add)

    def send_back(self, index: EdgeIndex, value: Tensor, g: Sequence[Tensor]) -> Tensor:
        order, reverse, target = index.derived("by source", index.by_source)
        return _product(_csr(reverse, target, value[order], index.num_targets), joined(g))

    def edge_gradient(self, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> Tensor:
        pattern = _csr(index.pointer, index.source, h.new_zeros(index.num_edges), h.shape[0])
        return torch.sparse.sampled_addmm(pattern, joined(g), h.t(), beta=0.0).values()


# Columns of a tile: the rows of some hundred sources then stay in a core's cache. Measured on a CPU, the
# product in tiles takes a third to two thirds of the time of the whole.
_TILE = 512


def _product(matrix: Tensor, features: Tensor) -> Tensor:
    """matrix [T, S] sparse · features [S, D] → [T, D], on a CPU in column tiles."""
    columns = features.shape[1]
    if features.device.type != "cpu" or columns <= _TILE:
        return matrix @ features
    result = features.new_zeros(matrix.shape[0], columns)
    for start in range(0, columns, _TILE):
        part = slice(start, start + _TILE)
        torch.addmm(result[:, part], matrix, features[:, part], beta=0.0, out=result[:, part])
    return result


def _csr(pointer: Tensor, column: Tensor, value: Tensor, num_columns: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            pointer, column, value, size=(pointer.numel() - 1, num_columns), check_invariants=False
        )
