"""One way to open a split, through the configuration's own section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dnw_graph.config.schema import Data
from dnw_graph.data import Batches, open_data


@pytest.fixture
def open_split() -> Callable[..., Batches]:
    """open_split(dataset, directory, train=…, image_size=…, …, augment=…) with small defaults."""

    def open_split(dataset: str, directory: Path | None = None, **options) -> Batches:
        keys = {key: options.pop(key) for key in ("augment", "fit", "workers") if key in options}
        if directory is not None:
            keys["directory"] = str(directory)
        defaults = {"image_size": 32, "num_classes": 10, "batch_size": 4, "train": True, "seed": 0}
        return open_data(Data(dataset=dataset, **keys), **{**defaults, **options})

    return open_split
