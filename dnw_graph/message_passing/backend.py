"""What a message-passing backend is, and the registry of backends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from dnw_graph.errors import InputError
from dnw_graph.message_passing import auto_on_cuda
from dnw_graph.message_passing.stage_index import StageIndex


class Backend(ABC):
    """Sparse products for one block of selected edges.

    All features are matrices [nodes, D] with D = B·H·W, contiguous; `value` [e] holds one weight
    per edge, in the order of `pointer` [T + 1] and `source` [e] (see `EdgeIndex`).
    """

    name: str = ""

    @abstractmethod
    def reason(self) -> str | None:
        """Why it cannot be used here, with the fix; None if it can."""

    def available(self) -> bool:
        """Whether it can be used on this machine."""
        return self.reason() is None

    def refusal(self, device: torch.device, dtype: torch.dtype) -> str | None:
        """Why it cannot work on tensors of this kind; None if it can."""
        return None

    @abstractmethod
    def aggregate(self, h: Tensor, value: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        """z[v] = Σ_e value_e · h[source_e], over the edges e of target v.  [S, D] → [T, D]."""

    @abstractmethod
    def transposed(
        self, g: Tensor, value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        """d[u] = Σ_e value_e · g[target_e], over the edges e of source u.  [T, D] → [S, D]."""

    @abstractmethod
    def edge_gradient(self, g: Tensor, h: Tensor, pointer: Tensor, source: Tensor) -> Tensor:
        """Σ_d g[target_e, d] · h[source_e, d] for each selected edge.  → [e]."""

    # A stage keeps its states in two matrices. Backends that can, work on both in place.

    def accumulate(
        self, z: Sequence[Tensor], h: Tensor, value: Tensor, pointer: Tensor, source: Tensor, *, add: bool
    ) -> None:
        """As `aggregate`, written or added to the rows of several z [t_i, D], which follow each other."""
        sent = self.aggregate(h, value, pointer, source).split([part.shape[0] for part in z])
        for part, new in zip(z, sent, strict=True):
            part.add_(new) if add else part.copy_(new)

    def transposed_of_pieces(
        self, g: Sequence[Tensor], value: Tensor, pointer: Tensor, source: Tensor, num_sources: int
    ) -> Tensor:
        """As `transposed`, for the rows of several g [t_i, D]."""
        return self.transposed(torch.cat(list(g)), value, pointer, source, num_sources)

    def edge_gradient_of_pieces(
        self, g: Sequence[Tensor], h: Tensor, pointer: Tensor, source: Tensor
    ) -> Tensor:
        """As `edge_gradient`, for the rows of several g [t_i, D]."""
        return self.edge_gradient(torch.cat(list(g)), h, pointer, source)

    # By the index of a whole stage, of which the host knows no value: nothing waits for the device.

    def by_stage(self, device: torch.device) -> bool:
        """Whether it works by such an index on tensors of this device."""
        return False

    def accumulate_block(
        self, z: Sequence[Tensor], h: Tensor, value: Tensor, index: StageIndex, block: int, *, add: bool
    ) -> None:
        """As `accumulate`, over the edges of one block; value [k]: of all edges of the stage."""
        raise TypeError(f"backend {self.name} works block by block, not by stage")

    def transposed_block(self, g: Sequence[Tensor], value: Tensor, index: StageIndex, block: int) -> Tensor:
        """As `transposed_of_pieces`, over the edges of one block; value as above."""
        raise TypeError(f"backend {self.name} works block by block, not by stage")

    def executed_macs(self, num_edges: int, num_targets: int, num_sources: int, columns: int) -> int:
        """Multiply-accumulates that one call of any of the products is asked to do; 0 without an edge."""
        return num_edges * columns

    def executed_macs_of_stage(self, num_edges: int, blocks: Sequence[tuple[int, int]], columns: int) -> int:
        """The same of one call for each block, of so many (targets, sources), with `num_edges` in all."""
        return num_edges * columns


_BACKENDS: dict[str, Backend] = {}
BackendType = TypeVar("BackendType", bound=type[Backend])


def register_backend(backend: BackendType) -> BackendType:
    """Class decorator: the backend can then be named in a config as `model.backend`.

    Raises ValueError if another class has that name; the same one may come again, when a file is reloaded.
    """
    taken = _BACKENDS.get(backend.name)
    if taken is not None and _identity(type(taken)) != _identity(backend):
        owner = ".".join(_identity(type(taken)))
        raise ValueError(f"backend name {backend.name!r} is taken by {owner}; choose another name")
    _BACKENDS[backend.name] = backend()
    return backend


def _identity(backend: type[Backend]) -> tuple[str, str]:
    return backend.__module__, backend.__qualname__


def backends() -> list[Backend]:
    """All registered backends, in the order of registration."""
    return list(_BACKENDS.values())


def find_backend(name: str) -> Backend:
    """The backend of that name; InputError if it is unknown or cannot be used here."""
    backend = _BACKENDS.get(name)
    if backend is None:
        raise InputError(f"backend {name!r} is not known; choose auto, {', '.join(_BACKENDS)}")
    reason = backend.reason()
    if reason is not None:
        raise InputError(f"backend {name!r} cannot be used here: {reason}")
    return backend


def goes_by_stage(name: str, device: torch.device) -> bool:
    """Whether a known backend can do with a stage's whole index there.

    Asks not whether it can be used here: torch.compile could not follow, and the operator asks that.
    """
    return _BACKENDS[name].by_stage(device)


def usable_backend(name: str, device: torch.device, dtype: torch.dtype) -> Backend:
    """`find_backend`, refused where it cannot work on tensors of this device and dtype."""
    backend = find_backend(name)
    refusal = backend.refusal(device, dtype)
    if refusal is not None:
        raise InputError(f"backend {name!r} cannot be used on {device.type} in {dtype}: {refusal}")
    return backend


# Density from which on a dense product was measured faster than the sparse one
# (benchmarks/training/message_passing.py): our own kernels, and torch's CSR.
_DENSE_FROM = {"native": 1 / 4, "csr": 1 / 8}


def choose_backend(device: torch.device, dtype: torch.dtype, num_edges: int, candidates: int) -> str:
    """What `auto` means for a stage: `native` or else `csr` for a sparse wiring, `dense` for a fuller one.

    On a GPU: `dense`, unless something else was measured faster there, see `auto_on_cuda`.
    """
    if device.type == "cuda":
        choice = auto_on_cuda.choose(device, dtype, num_edges / max(1, candidates))
        return choice if _BACKENDS[choice].available() else "dense"
    for name, limit in _DENSE_FROM.items():
        backend = _BACKENDS[name]
        if backend.available() and backend.refusal(device, dtype) is None and num_edges < limit * candidates:
            return name
    return "dense"


Prepared = TypeVar("Prepared")
_prepared = WeakIdKeyDictionary()


def prepared(pointer: Tensor, source: Tensor, purpose: str, build: Callable[[], Prepared]) -> Prepared:
    """What a backend derives from a wiring, made once and kept as long as both index tensors live.

    What `build` returns must not hold them, or they would live for ever.
    """
    of_source = _prepared.setdefault(source, WeakIdKeyDictionary())
    kept = of_source.setdefault(pointer, {})
    key = (purpose, pointer._version, source._version)
    if key not in kept:
        kept[key] = build()
    return kept[key]
