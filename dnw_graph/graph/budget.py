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
    candidates = stage.num_candidates
    if width is not None:
        k, said = edges_for_width(width, stage.dense_edges), f"model.width {width}"
        # Rounded down to three decimals, so that the advice itself fits.
        most = f"{math.isqrt(candidates * 10**6 // stage.dense_edges) / 1000:g}"
    elif density is not None:
        k, said, most = edges_for_density(density, candidates), f"model.density {density}", "1"
    elif edges is not None:
        k, said, most = edges, f"model.edges {edges}", str(candidates)
    else:
        raise InputError("the model has no edge budget; give model.width, model.edges or model.density")
    check_budget(k, candidates, said, f"stage {stage.index}", most)
    return k


def check_budget(k: int, candidates: int, said: str, where: str, most: str) -> None:
    """Refuse a budget of no edge, or of more edges than there are candidates; `most` is what may be said."""
    if k > candidates:
        raise InputError(
            f"{said} asks for {k} edges of {where}, which has {candidates} candidates; use at most {most}"
        )
    if k < 1:
        raise InputError(f"{said} asks for {k} edges of {where}; a wiring needs at least one")
