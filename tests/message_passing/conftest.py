"""Random wirings of one block, for every backend."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dnw_graph.message_passing import EdgeIndex, message_passing

BACKENDS = ("dense", "csr", "dgl")


@dataclass
class Block:
    """Operands of one message passing; `mask` [T, S] is 1 where an edge is selected."""

    h: Tensor
    weight: Tensor
    index: EdgeIndex
    base: Tensor | None
    mask: Tensor

    def send(self, backend: str, reach: str = "candidates") -> Tensor:
        index = self.index
        return message_passing(
            self.h, self.weight, index.pointer, index.source, index.position, self.base, reach, backend
        )

    def by_definition(self) -> Tensor:
        """z_v = base_v + Σ_u mask_vu · w_vu · h_u, as one einsum."""
        z = torch.einsum("ts,sbyx->tbyx", self.weight.reshape(self.mask.shape) * self.mask, self.h)
        return z if self.base is None else z + self.base


def random_block(
    targets=4,
    sources=3,
    share=0.5,
    shape=(2, 3, 5),
    base=True,
    seed=0,
    dtype=torch.float64,
    empty_targets=(),
    empty_sources=(),
) -> Block:
    """A block whose edges are each selected with probability `share`."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, generator=generator, dtype=dtype)

    mask = torch.rand(targets, sources, generator=generator) < share
    mask[list(empty_targets)] = False
    mask[:, list(empty_sources)] = False
    index = EdgeIndex.of_positions(mask.flatten().nonzero().squeeze(1), targets, sources)
    return Block(
        normal(sources, *shape).requires_grad_(),
        normal(targets * sources).requires_grad_(),
        index,
        normal(targets, *shape).requires_grad_() if base else None,
        mask.to(dtype),
    )


@pytest.fixture(scope="session")
def block():
    """block(…) → operands, see `random_block`."""
    return random_block


@pytest.fixture(params=BACKENDS)
def backend(request) -> str:
    return request.param
