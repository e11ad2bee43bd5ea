"""The gradient to the weights of one block: of selected edges, and straight through to all candidates."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dnw_graph.message_passing.backend import Backend
from dnw_graph.message_passing.edge_index import EdgeIndex


def write_edge_gradient(
    gradient: Tensor,
    g: Sequence[Tensor],
    h: Tensor,
    index: EdgeIndex,
    engine: Backend,
    share: int,
    factor: float,
) -> None:
    """Write ∂L/∂w of one block to `gradient` [T·S] in place.

    g       [t_i, D] whose rows follow each other, T in all: ∂L/∂z of the targets
    h       [S, D]: what the sources sent
    index   the selected edges; they get Σ_d g[v, d] · h[u, d] over all D columns
    share   columns that the other candidates get it from, the first ones; 0: none
    factor  on what they get
    """
    if share:
        matrix = gradient.view(-1, h.shape[0])
        for rows, part in zip(matrix.split([piece.shape[0] for piece in g]), g, strict=True):
            torch.mm(part[:, :share], h[:, :share].t(), out=rows)
        if factor != 1.0:
            gradient *= factor
    else:
        gradient.zero_()
    is_whole = share == h.shape[1] and factor == 1.0
    if index.num_edges and h.shape[1] and not is_whole:
        gradient[index.position] = engine.edge_gradient_of_pieces(g, h, index.pointer, index.source)
