"""A wiring drawn once: the baseline that learned wirings are compared with."""

from __future__ import annotations

import torch
from torch import Tensor

from dnw_graph.wiring.rule import Rule, StageView, register
from dnw_graph.wiring.selection import strongest


@register("random")
class Random(Rule):
    """Draw k candidate edges of each stage uniformly, once, from the run's seed.

    Only the drawn edges receive gradient.

    Source: Wortsman, Farhadi, Rastegari 2019, section 4 (random graph baseline).
    """

    reach = "selected"
    rewires = False

    def choose(self, view: StageView) -> Tensor:
        """Ids [k] int64, ascending: the k largest of one uniform key per candidate."""
        keys = torch.rand(view.weight.numel(), generator=view.generator, dtype=torch.float64)
        return strongest(keys, view.k).to(view.weight.device)
