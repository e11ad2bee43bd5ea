"""Images → classes, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from dnw_graph.arguments import whole_number
from dnw_graph.data.decode import Unreadable
from dnw_graph.data.single_images import Preprocessing, name_of
from dnw_graph.errors import InputError


@dataclass(frozen=True)
class Prediction:
    """What a network sees in one image.

    image        its path, or its place in a list
    class_name   the most probable class;  label: its number;  probability: of it, from 0 to 1
    top          (class, probability) of the most probable ones, in falling order
    """

    image: str
    label: int
    top: tuple[tuple[str, float], ...]

    @property
    def class_name(self) -> str:
        return self.top[0][0]

    @property
    def probability(self) -> float:
        return self.top[0][1]

    def __str__(self) -> str:
        return ", ".join(f"{name} {probability:.1%}" for name, probability in self.top)

    def __repr__(self) -> str:
        return f"<{self.image}: {self}>"

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        top = [{"class": name, "probability": probability} for name, probability in self.top]
        return {
            "image": self.image,
            "class": self.class_name,
            "label": self.label,
            "probability": self.probability,
            "top": top,
        }


def check_top(top: int | None, batch_size: int) -> None:
    """Raise InputError unless both are counts; top None: all classes."""
    if top is not None:
        whole_number(top, "top", 1)
    whole_number(batch_size, "batch_size", 1, 1 << 20)


def predictions(
    network: nn.Module,
    preprocess: Preprocessing,
    class_names: Sequence[str],
    images: Iterable[tuple[str | None, Any]],
    *,
    top: int | None = 5,
    batch_size: int = 32,
) -> Iterator[Prediction | Unreadable]:
    """A prediction for each image, or why there is none; in order, and in memory one batch at a time.

    network  images [B, 3, S, S] → logits [B, classes], in eval mode
    images   (name, image) pairs, of which at most a batch is taken ahead; name None: the path
    Raises InputError for what is no image at all, and for logits that are not finite.
    """
    check_top(top, batch_size)
    like = next(
        (each for each in (*network.parameters(), *network.buffers()) if each.is_floating_point()), None
    )
    waiting = iter(images)
    while batch := list(islice(waiting, batch_size)):
        names = [name_of(image, name) for name, image in batch]
        prepared = [preprocess.read(image, name) for (_, image), name in zip(batch, names, strict=True)]
        found = [each for each in prepared if isinstance(each, Tensor)]
        rows: Iterator[Tensor] = iter(())
        if found:
            ready = torch.stack(found)
            ready = ready if like is None else ready.to(like.device, like.dtype)
            rows = iter(_probabilities(network, ready, len(class_names)))
        for name, each in zip(names, prepared, strict=True):
            yield each if isinstance(each, Unreadable) else _prediction(name, next(rows), class_names, top)


@torch.no_grad()
def _probabilities(network: nn.Module, images: Tensor, num_classes: int) -> Tensor:
    logits = network(images)
    if not isinstance(logits, Tensor) or logits.shape != (len(images), num_classes):
        found = list(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError(f"the network gave {found} for {len(images)} images, not a logit for each class")
    if not logits.isfinite().all():
        raise InputError(
            "the network's logits are not finite: its training diverged; use an earlier checkpoint"
        )
    return logits.double().softmax(dim=1).cpu()


def _prediction(name: str, row: Tensor, class_names: Sequence[str], top: int | None) -> Prediction:
    # Stable, so that the lower class number comes first in a tie.
    order = row.argsort(descending=True, stable=True)[:top].tolist()
    return Prediction(name, order[0], tuple((class_names[each], float(row[each])) for each in order))
