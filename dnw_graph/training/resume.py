"""Going on with a run from where its checkpoint stands."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from dnw_graph.config.datasets import DATASETS
from dnw_graph.data import Batches, Part
from dnw_graph.errors import InputError
from dnw_graph.runs.checkpoint import read_state
from dnw_graph.runs.directory import chosen_on_test
from dnw_graph.runs.state import Position, damaged
from dnw_graph.training import random_state
from dnw_graph.training.images import RunImages
from dnw_graph.training.learner import Learner


def restore_session(directory: Path, learner: Learner) -> tuple[Position, int]:
    """Put a run back to where its checkpoint stands → (position, bytes of metrics.jsonl that belong to it).

    Raises InputError when the checkpoint is damaged, has no state of training, or was written by another
    number of processes.
    """
    path, state = directory / "state.json", read_state(directory)
    for name in ("ranks", "position", "metrics_bytes", "learner"):
        if state.get(name) is None:
            raise InputError(
                f"{path}: lacks {name}, which training needs to go on; use a checkpoint that training wrote."
            )
    _check_ranks(state["ranks"], learner.world.size, directory)
    learner.load(directory, state)
    try:
        random_state.restore(state["ranks"][learner.world.rank]["random"])
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"holds no state of random generators ({' '.join(str(error).split())})"
        raise damaged(path, what) from error
    position = Position(**state["position"])
    if chosen_on_test(state):
        # From here on no test score chooses anything.
        position.best_top1, position.best_epoch = Position.best_top1, Position.best_epoch
    return position, state["metrics_bytes"]


def check_data(directory: Path, images: RunImages) -> None:
    """Raise InputError unless the images are those that the run was trained on so far."""
    state = read_state(directory)
    check_classes(state, images.train, directory)
    for part, data in images.parts().items():
        before = recorded(state, part)
        if before is not None and before != data.described():
            raise InputError(
                f"{data.source}: {other_images(before, data)} than this run was trained with; give "
                "its images, or start another run with another --run-dir."
            )


def recorded(state: Mapping[str, Any], part: Part) -> Mapping[str, Any] | None:
    """What a checkpoint says of the images of one part; None: nothing."""
    images, name = state.get("data") or {}, str(part)
    if chosen_on_test(state) and DATASETS.get(state["config"]["data"]["dataset"]).read is None:
        # That version called the images of val/ test images.
        name = {"train": "train", "validation": "test"}.get(part, "")
    found: Mapping[str, Any] | None = images.get(name)
    return found


def check_classes(state: Mapping[str, Any], data: Batches, directory: Path) -> None:
    """Raise InputError unless the labels mean the classes of a checkpoint."""
    before, now = state.get("class_names"), data.class_names
    if before is None or now is None or before == now:
        return
    pairs = zip_longest(before, now, fillvalue="nothing")
    label, (was, found) = next((label, pair) for label, pair in enumerate(pairs) if pair[0] != pair[1])
    raise InputError(
        f"{data.source}: class {label} is {found} here and was {was} in the training of {directory}; give "
        "images of the same classes."
    )


def other_images(before: Mapping[str, Any], data: Batches) -> str:
    """How a split differs from what a checkpoint says of it."""
    if before["images"] != data.num_samples:
        return f"has {data.num_samples:,} images instead of {before['images']:,}: others"
    return "has as many images, but others or in another order,"


def _check_ranks(ranks: list[Mapping[str, Any]], processes: int, directory: Path) -> None:
    if len(ranks) != processes:
        raise InputError(
            f"{directory}: was written by {len(ranks)} processes and this run has {processes}; go on with "
            f"torchrun --nproc-per-node {len(ranks)}."
        )
