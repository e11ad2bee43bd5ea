"""Learning rate as a pure function of the optimiser step."""

from __future__ import annotations

import math

from dnw_graph.config.schema import Schedule


def learning_rate(schedule: Schedule, peak: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Learning rate of optimiser step `step`, counted from 0 over the whole run.

    Warm-up rises in equal parts and reaches `peak` with its last step; then, with p ∈ [0, 1) the part of the
    remaining steps that is done,
      cosine     final + (peak − final) · (1 + cos πp) / 2
      multistep  peak · gamma^(milestones reached), milestones in epochs from the start of the run
    """
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return peak * (step + 1) / warmup
    if schedule.name == "multistep":
        reached = sum(step >= milestone * steps_per_epoch for milestone in schedule.milestones)
        return float(peak * schedule.gamma**reached)
    done = (step - warmup) / max(1, epochs * steps_per_epoch - warmup)
    return float(schedule.final_lr + (peak - schedule.final_lr) * (1 + math.cos(math.pi * done)) / 2)
