"""Discovering neural wirings: the strongest edges run, all candidates learn."""

from __future__ import annotations

from torch import Tensor

from dnw_graph.wiring.rule import Rule, StageView, register
from dnw_graph.wiring.selection import strongest


@register("top_k")
class TopK(Rule):
    """Keep the k strongest candidate edges of each stage.

    selected = argtop-k |w|,   ∂L/∂w reaches every candidate edge.

    Source: Wortsman, Farhadi, Rastegari 2019, algorithm 1.
    """

    def select(self, weight: Tensor, k: int) -> Tensor:
        """weight [E] float → ids of the selected edges [k] int64, ascending."""
        return strongest(weight, k)

    def choose(self, view: StageView) -> Tensor:
        """The same, from where the threshold was after the step before."""
        if type(self).select is not TopK.select:
            return super().choose(view)  # a rule derived from this one, with a selection of its own
        return strongest(view.weight, view.k, view.threshold)


@register("top_k_no_update")
class TopKNoUpdate(TopK):
    """Keep the k strongest, but let only these learn: edges outside the wiring change by weight decay alone.

    Source: Wortsman, Farhadi, Rastegari 2019, the ablation "no update" (dnw_no_update in their program).
    """

    reach = "selected"
