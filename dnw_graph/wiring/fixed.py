"""A wiring found once and then kept: fine-tuning."""

from __future__ import annotations

from torch import Tensor

from dnw_graph.wiring.rule import Rule, register
from dnw_graph.wiring.selection import strongest


@register("fixed_top_k")
class FixedTopK(Rule):
    """The k strongest edges of the first weights it sees, for good; an edge of weight 0 is never one of them.

    Only these edges receive gradient.

    Source: fine_tune in the program of Wortsman, Farhadi, Rastegari 2019.
    """

    reach = "selected"
    rewires = False

    def select(self, weight: Tensor, k: int) -> Tensor:
        """weight [E] float → ids of the strongest non-zero edges [<= k] int64, ascending."""
        ids = strongest(weight, k)
        return ids[weight[ids] != 0]
