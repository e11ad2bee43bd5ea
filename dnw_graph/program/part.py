"""A part of a network on its way to a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dnw_graph.program.program import Array
from dnw_graph.program.steps import Step


@dataclass(frozen=True)
class Part:
    """Steps, the channels of states that they name, and their tensors; see `Program`."""

    steps: tuple[Step, ...]
    channels: Mapping[str, int]
    tensors: Mapping[str, Array] = field(default_factory=dict)

    def __add__(self, other: Part) -> Part:
        """One after the other."""
        return Part(
            self.steps + other.steps,
            {**self.channels, **other.channels},
            {**self.tensors, **other.tensors},
        )
