"""Batches on their way to a GPU."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

Batch = tuple[Tensor, Tensor]


def ready_for(device: torch.device, batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, in memory that a GPU can fetch by itself while the host goes on.

    From other memory `to(device, non_blocking=True)` returns only when the device, which first has to finish
    what it was asked for before, has taken the batch.
    """
    return batches if device.type != "cuda" else map(_pinned, batches)


def _pinned(batch: Batch) -> Batch:
    images, labels = batch
    return images.pin_memory(), labels.pin_memory()
