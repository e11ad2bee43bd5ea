"""Where the engine's time goes, operation by operation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dnw_graph.engine.engine import Floats, Plan
from dnw_graph.errors import InputError
from dnw_graph.native.tables import Work


@dataclass(frozen=True)
class OperationTime:
    """What one operation does for an image, and the seconds that it keeps the calling thread busy."""

    work: Work
    seconds: float


def profiled(plan: Plan, images: Floats, threads: int, calls: int) -> list[OperationTime]:
    """The median of some calls, and last what the thread waits for others; InputError but for one image."""
    if calls < 1 or images.shape[0] != 1:
        raise InputError(
            f"{calls} calls with {images.shape[0]} images; a profile wants a call or more with one"
        )
    plan.run(images, threads)
    taken = np.zeros((calls, len(plan.work) + 1))
    for row in taken:
        plan.run(images, threads, row)
    waiting = Work("all", 0, "waiting", 0, 0)
    seconds = np.median(taken, axis=0).tolist()
    return [OperationTime(*each) for each in zip([*plan.work, waiting], seconds, strict=True)]
