"""Discovering neural wirings: the strongest edges run, all candidates learn."""

from __future__ import annotations

from torch import Tensor

from dnw_graph.wiring.rule import Rule, StageView, register


@register("top_k")
class TopK(Rule):
    """Keep the k strongest candidate edges of each stage.

    selected = argtop-k |w|,   ∂L/∂w reaches every candidate edge.

    Source: Wortsman, Farhadi, Rastegari 2019, algorithm 1.
    """

    def score(self, view: StageView) -> Tensor:
        """→ [E] float, the strength of each candidate."""
        return view.weight.abs()


@register("top_k_no_update")
class TopKNoUpdate(TopK):
    """Keep the k strongest, but let only these learn: edges outside the wiring change by weight decay alone.

    Source: Wortsman, Farhadi, Rastegari 2019, the ablation "no update" (dnw_no_update in their program).
    """

    reach = "selected"
