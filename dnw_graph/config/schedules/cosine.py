"""Half a cosine from the peak to the end."""

from __future__ import annotations

import math

from pydantic import Field

from dnw_graph.config.schedules.schedule import Schedule, register_schedule
from dnw_graph.config.section import NotNegative


@register_schedule("cosine")
class Cosine(Schedule):
    """final + (peak − final) · (1 + cos πp) / 2, with p the part of the steps that is done."""

    final_lr: NotNegative = Field(0.0, description="learning rate at the end")

    def after_warmup(self, peak: float, epoch: float, done: float) -> float:
        return self.final_lr + (peak - self.final_lr) * (1 + math.cos(math.pi * done)) / 2

    def end(self) -> float:
        return self.final_lr
