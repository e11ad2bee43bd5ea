"""Loss and accuracy: sums over training steps, and scores of an evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from dnw_graph.dependencies import load_torchvision

if TYPE_CHECKING:
    from dnw_graph.training.distributed import World


class Tally:
    """Sums of one rank's training steps; they stay on the device until they are read.

    sums [3] float64: loss of each image, correct images, images
    """

    def __init__(self, device: torch.device) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)

    def add(self, losses: Tensor, logits: Tensor, labels: Tensor) -> None:
        """losses [B] float, logits [B, classes], labels [B] int64."""
        correct = (logits.detach().argmax(1) == labels).sum()
        self.sums[0] += losses.detach().sum(dtype=torch.float64)
        self.sums[1] += correct
        self.sums[2] += len(labels)

    def empty_into(self, other: Tally) -> None:
        """Move everything into another tally."""
        other.sums += self.sums
        self.clear()

    def clear(self) -> None:
        self.sums.zero_()

    def read(self, world: World) -> tuple[float, float, int]:
        """(mean loss, top-1 as a fraction, images) over all ranks; nan if none. Waits for the device."""
        loss, correct, images = world.total(self.sums).tolist()
        return (loss / images, correct / images, int(images)) if images else (float("nan"), float("nan"), 0)

    def state(self) -> list[float]:
        """JSON-able; exact, since JSON writes a float64 so that it reads back as the same bits."""
        return self.sums.tolist()

    def load_state(self, state: list[float]) -> None:
        self.sums.copy_(torch.tensor(state, dtype=torch.float64))


class Scores:
    """Mean cross entropy, top-1 and, from six classes on, top-5, over the images of all ranks."""

    def __init__(self, num_classes: int, device: torch.device) -> None:
        load_torchvision()  # torchmetrics imports it, and must not be the first to
        from torchmetrics import MeanMetric
        from torchmetrics.classification import MulticlassAccuracy

        def accuracy(k: int) -> MulticlassAccuracy:
            return MulticlassAccuracy(num_classes, top_k=k, average="micro", validate_args=False).to(device)

        # Losses go in one by one: with nan_strategy="disable" MeanMetric ignores weights.
        self._loss = MeanMetric(nan_strategy="disable").set_dtype(torch.float64).to(device)
        self._top1 = accuracy(1)
        self._top5 = accuracy(5) if num_classes > 5 else None

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """logits [B, classes] of any float type, labels [B] int64."""
        logits = logits.float()
        self._loss.update(F.cross_entropy(logits, labels, reduction="none"))
        self._top1.update(logits, labels)
        if self._top5 is not None:
            self._top5.update(logits, labels)

    def read(self) -> dict[str, float]:
        """{"loss", "top1", "top5"}: nats, fractions; "top5" from six classes on. A collective."""
        scores = {"loss": float(self._loss.compute()), "top1": float(self._top1.compute())}
        return scores if self._top5 is None else scores | {"top5": float(self._top5.compute())}
