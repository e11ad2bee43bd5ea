"""How many edges a wiring may have."""

from __future__ import annotations

import math
from fractions import Fraction

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Stage


def edges_for_width(width: float | str, dense_edges: int) -> int:
    """k = ceil(width² · dense_edges), exact on the decimal as it was written.

    A network thinned to `width` times its channels keeps width² of its 1×1 weights; the wiring
    gets as many edges (Wortsman, Farhadi, Rastegari 2019, section 4).
    """
    return math.ceil(Fraction(str(width)) ** 2 * dense_edges)


def edges_for_density(density: float | str, candidates: int) -> int:
    """k = ceil(density · candidates), exact on the decimal as it was written."""
    return math.ceil(Fraction(str(density)) * candidates)


def stage_budget(
    stage: Stage, *, width: float | None = None, edges: int | None = None, density: float | None = None
) -> int:
    """Number of edges of one stage; exactly one of the three ways to say it is given.

    Raises InputError where the stage has fewer candidates than that.
    """
    if width is not None:
        k, said = edges_for_width(width, stage.dense_edges), f"model.width {width}"
    elif density is not None:
        k, said = edges_for_density(density, stage.num_candidates), f"model.density {density}"
    elif edges is not None:
        k, said = edges, f"model.edges {edges}"
    else:
        raise InputError("the model has no edge budget; give model.width, model.edges or model.density")
    check_budget(k, stage.num_candidates, said, f"stage {stage.index}")
    return k


def check_budget(k: int, candidates: int, said: str, where: str) -> None:
    """Refuse a budget of no edge, or of more edges than there are candidates."""
    if k > candidates:
        raise InputError(f"{said} asks for {k} edges of {where}, which has {candidates} candidates; use less")
    if k < 1:
        raise InputError(f"{said} asks for {k} edges of {where}; a wiring needs at least one")
