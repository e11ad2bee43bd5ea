"""One way to open a split, through the configuration's own section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dnw_graph.config.schema import Data
from dnw_graph.data import Batches, open_data


@pytest.fixture
def open_split() -> Callable[..., Batches]:
    """open_split(dataset, directory, part=…, image_size=…, …, augment=…) with small defaults.

    Nothing is kept apart for validation unless validation=… says so.
    """

    def open_split(dataset: str, directory: Path | None = None, **options) -> Batches | None:
        keys = {key: options.pop(key) for key in Data.model_fields if key in options}
        if directory is not None:
            keys["directory"] = str(directory)
        part, size = options.pop("part", "train"), options.pop("batch_size", 4)
        defaults = {"image_size": 32, "num_classes": 10, "seed": 0}
        source = open_data(Data(**{"dataset": dataset, "validation": 0, **keys}), **{**defaults, **options})
        return source.batches(part, size)

    return open_split
