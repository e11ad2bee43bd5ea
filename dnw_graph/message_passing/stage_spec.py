"""How a whole stage runs, tensors apart: one record, and its flat form in the schema of torch's operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dnw_graph.graph import schedule
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.graph.schedule import Schedule

# The fields of `StageSpec.flat`, in its order.
SCHEMA = (
    f"{schedule.SCHEMA}, str norm, str activation, SymInt kernel_size, "
    "SymInt stride, float eps, bool fixed, str reach, SymInt images, float factor, str backend"
)


@dataclass(frozen=True)
class StageSpec:
    """What `run_stage` does.

    schedule  the levels, who hears whom, and who starts from whom
    node      of the first level, norm "batch" or "instance"; the other levels have the same with stride 1
    fixed     norm "batch" takes the mean and variance that are given instead of those of this batch
    reach     "candidates" or "selected": which weights receive gradient
    images, factor  with reach "candidates": edges that are not selected get their gradient from the first
              `images` of the batch, times `factor`; the size of the batch and 1: all of it
    backend   a backend's name
    """

    schedule: Schedule
    node: NodeSpec
    fixed: bool
    reach: str
    images: int
    factor: float
    backend: str

    def flat(self) -> tuple[Any, ...]:
        """As the operators are given it."""
        node = self.node
        return (
            *self.schedule.flat(),
            *(node.norm, node.activation, node.kernel_size, node.stride, node.eps),
            *(self.fixed, self.reach, self.images, self.factor, self.backend),
        )

    @staticmethod
    def of(flat: tuple[Any, ...]) -> StageSpec:
        """The record that `flat` is of."""
        return StageSpec(Schedule.of(flat[:3]), NodeSpec(*flat[3:8]), *flat[8:])

    def takes_whole_index(self, batch: int) -> bool:
        """Whether its gradients can do with one index of the whole stage, for a batch of so many images."""
        return self.reach == "candidates" and (self.images, self.factor) == (batch, 1.0)
