"""Scores of a network on the test split."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

from dnw_graph.data import Batches
from dnw_graph.training.learner import autocast
from dnw_graph.training.metrics import Scores
from dnw_graph.training.transfer import ready_for


@torch.no_grad()
def evaluate(
    model: nn.Module | Callable[[torch.Tensor], torch.Tensor],
    batches: Batches,
    *,
    num_classes: int,
    device: torch.device,
    precision: str = "float32",
    stopped: Callable[[], bool] = lambda: False,
) -> dict[str, float] | None:
    """{"loss", "top1", ["top5"], "images_per_second", "seconds"} over all images, in evaluation mode.

    Accuracies are fractions; the speed counts this rank's images, reading them included. A collective of all
    ranks. None as soon as `stopped()` is true.
    """
    scores = Scores(num_classes, device)
    training = isinstance(model, nn.Module) and model.training
    if isinstance(model, nn.Module):
        model.eval()
    start, images_seen = time.perf_counter(), 0
    results: dict[str, float] | None = None
    for images, labels in ready_for(device, batches.epoch(0)):
        if stopped():
            break
        with autocast(precision, device):
            logits = model(images.to(device, non_blocking=True))
        scores.add(logits, labels.to(device, non_blocking=True))
        images_seen += len(labels)
    else:
        results = scores.read()
    if isinstance(model, nn.Module):
        model.train(training)
    if results is None:
        return None
    seconds = time.perf_counter() - start
    return results | {"images_per_second": images_seen / seconds, "seconds": seconds}
