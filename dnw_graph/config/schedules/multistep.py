"""A fall at each of some epochs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from dnw_graph.config.schedules.schedule import Schedule, register_schedule
from dnw_graph.config.section import Count


@register_schedule("multistep")
class Multistep(Schedule):
    """peak · gamma^(milestones reached), milestones in epochs from the start of the run."""

    milestones: list[Count] = Field(
        default_factory=list, description="epochs after which the rate falls", examples=[[80, 120]]
    )
    gamma: Annotated[float, Field(gt=0, le=1)] = Field(0.1, description="factor at each milestone")

    def after_warmup(self, peak: float, epoch: float, done: float) -> float:
        reached = sum(epoch >= milestone for milestone in self.milestones)
        return float(peak * self.gamma**reached)

    @model_validator(mode="after")
    def _ascending(self) -> Multistep:
        if not self.milestones:
            raise ValueError(
                "schedule.milestones is missing; the multistep schedule needs epochs, such as [80, 120]"
            )
        ascending = sorted(set(self.milestones))
        if self.milestones != ascending:
            raise ValueError(f"schedule.milestones {self.milestones} do not ascend; use {ascending}")
        return self
