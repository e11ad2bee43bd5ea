"""What a message-passing backend is, and the registry of backends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.message_passing.edge_index import EdgeIndex


class Backend(ABC):
    """Three sparse products over the selected edges (u, v) of one block: send, send back, edge gradient.

    Features are matrices [nodes, D] with D = B·H·W, contiguous. Those of the targets may come in two pieces,
    whose rows follow each other: a stage keeps the states of its last level in a matrix of their own.
    `value` [e] holds one weight per edge, in the order of `index.source`.

    A backend declares what else it can do: `refusal` (devices and number formats), `slices`.
    """

    name: str = ""

    @abstractmethod
    def reason(self) -> str | None:
        """Why it cannot be used here, with the fix; None if it can."""

    def available(self) -> bool:
        """Whether it can be used on this machine."""
        return self.reason() is None

    def refusal(self, device: torch.device, dtype: torch.dtype) -> str | None:
        """Why it cannot work on tensors of this kind, with the fix; None if it can."""
        return None

    def slices(self, device: torch.device) -> bool:
        """Whether `send` and `send_back` take a slice of a whole stage's edges, on tensors of this device.

        The host knows no value of such an index: nothing waits for the device. `value` is of the whole stage.
        """
        return False

    @abstractmethod
    def send(
        self,
        index: EdgeIndex,
        value: Tensor,
        h: Tensor,
        into: Sequence[Tensor] | None = None,
        *,
        add: bool = False,
    ) -> Sequence[Tensor]:
        """z_v = Σ value_uv · h_u.  h [S, D] → z [T, D].

        into  pieces of z, to which it is written or added; None: a new matrix. Returns the pieces.
        """

    @abstractmethod
    def send_back(self, index: EdgeIndex, value: Tensor, g: Sequence[Tensor]) -> Tensor:
        """d_u = Σ value_uv · g_v.  g [T, D] in pieces → [S, D]."""

    @abstractmethod
    def edge_gradient(self, index: EdgeIndex, g: Sequence[Tensor], h: Tensor) -> Tensor:
        """Σ_d g_vd · h_ud of each edge.  g [T, D] in pieces, h [S, D] → [e]; not of a slice."""

    def executed_macs(self, num_edges: int, blocks: Sequence[tuple[int, int]], columns: int) -> int:
        """Multiply-accumulates that one call of any of the products for each block is asked to do.

        num_edges  in all blocks, of which each has so many (targets, sources); 0 without an edge
        """
        return num_edges * columns


def joined(pieces: Sequence[Tensor]) -> Tensor:
    """Pieces [t_i, D] as one matrix."""
    return pieces[0] if len(pieces) == 1 else torch.cat(list(pieces))


def put(z: Tensor, into: Sequence[Tensor] | None, *, add: bool) -> Sequence[Tensor]:
    """Write or add a matrix [T, D] to pieces, as `Backend.send` does."""
    if into is None:
        return (z,)
    for piece, new in zip(into, z.split([piece.shape[0] for piece in into]), strict=True):
        piece.add_(new) if add else piece.copy_(new)
    return into


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


def takes_slices(name: str, device: torch.device) -> bool:
    """`Backend.slices` of a known backend.

    Does not check whether it can be used here: torch.compile could not follow, and the operator checks.
    """
    return _BACKENDS[name].slices(device)


def usable_backend(name: str, device: torch.device, dtype: torch.dtype) -> Backend:
    """`find_backend`, refused where it cannot work on tensors of this device and dtype."""
    backend = find_backend(name)
    refusal = backend.refusal(device, dtype)
    if refusal is not None:
        raise InputError(f"backend {name!r} cannot be used on {device.type} in {dtype}: {refusal}")
    return backend
