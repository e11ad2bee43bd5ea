"""Learning rate as a pure function of the optimiser step."""

from __future__ import annotations

from dnw_graph.config.schedules import Schedule


def learning_rate(schedule: Schedule, peak: float, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Learning rate of optimiser step `step`, counted from 0 over the whole run.

    Warm-up rises in equal parts and reaches `peak` with its last step; then the schedule has its way.
    """
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, epochs * steps_per_epoch - warmup)
    return float(schedule.after_warmup(peak, step / steps_per_epoch, done))
