"""The same factor in every epoch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dnw_graph.config.schedules.schedule import Schedule, register_schedule


@register_schedule("exponential")
class Exponential(Schedule):
    """peak · gamma^(epochs since the warm-up), falling a little at every step."""

    gamma: Annotated[float, Field(gt=0, le=1)] = Field(description="factor per epoch", examples=[0.97])

    def after_warmup(self, peak: float, epoch: float, done: float) -> float:
        return float(peak * self.gamma ** max(0.0, epoch - self.warmup_epochs))
