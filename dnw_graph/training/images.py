"""The images of a run, part by part."""

from __future__ import annotations

from dataclasses import dataclass

from dnw_graph.data import Batches, Part

WORDS: dict[Part, str] = {"train": "training", "validation": "validation", "test": "test"}
"""What the images of a part are called."""


@dataclass(frozen=True)
class RunImages:
    """Images to train on, to choose the best checkpoint by, and to test with; not all runs have all."""

    train: Batches
    validation: Batches | None
    test: Batches | None

    def parts(self) -> dict[Part, Batches]:
        """Those that there are."""
        every: dict[Part, Batches | None] = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
        }
        return {part: each for part, each in every.items() if each is not None}
