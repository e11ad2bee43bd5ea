"""What every data set looks like to the training loop, and which samples each batch holds."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from dnw_graph.errors import InputError

Part = Literal["train", "validation", "test"]
"""Images to learn from; to choose the best checkpoint by; and to report a score of, which decides nothing."""


class DataSection(Protocol):
    """The `data` section of a configuration, as far as this room reads it."""

    @property
    def dataset(self) -> str: ...
    @property
    def directory(self) -> str | None: ...
    @property
    def validation(self) -> float | None: ...
    @property
    def test(self) -> float | None: ...
    @property
    def augment(self) -> bool: ...
    @property
    def crop(self) -> float: ...
    @property
    def flip(self) -> bool: ...
    @property
    def fit(self) -> str: ...
    @property
    def workers(self) -> int | None: ...
    @property
    def options(self) -> dict[str, Any] | None: ...


@dataclass(frozen=True)
class View:
    """How the images of a data set are seen: by which network, and by which rank of how many.

    seed  of the order, of the augmentation, and of what is kept apart for validation
    """

    image_size: int
    num_classes: int
    seed: int
    rank: int = 0
    world_size: int = 1


class Source(ABC):
    """A data set, whose parts are opened one by one."""

    @abstractmethod
    def batches(self, part: Part, batch_size: int) -> Batches | None:
        """Open one part, in batches of this rank's size; None: there is no such part (there is train always).

        Raises InputError for data that is missing, damaged, or does not fit.
        """


class Batches(ABC):
    """One part of a data set, as one rank sees it.

    num_samples    images in the part, over all ranks, before the incomplete last training batch is dropped
    num_batches    batches that `epoch` yields on this rank
    class_names    one name per label, or None where the data has none
    preprocessing  what is done to an image before the network sees it in evaluation; JSON-able, keys in
                   `dnw_graph.data.preprocessing`
    source         where the images were read from, for the log
    fingerprint    a digest of which images these are and in what order; cheap, and the same on all ranks
    """

    num_samples: int
    num_batches: int
    class_names: list[str] | None
    preprocessing: dict[str, Any]
    source: str
    fingerprint: str

    def described(self) -> dict[str, Any]:
        """What of this part of a set belongs to a run, JSON-able."""
        return {"images": self.num_samples, "fingerprint": self.fingerprint}

    def close(self) -> None:  # noqa: B027 (most have nothing to end)
        """End the processes that decode images, if there are any."""

    @abstractmethod
    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (images float32 [B, 3, S, S], labels int64 [B]) from batch number `first_batch` on.

        A pure function of its arguments, the seed and the rank: starting at `first_batch` gives the same bits
        as skipping that many batches, and no global random state is read or changed.
        Raises InputError when an image cannot be read.
        """


@dataclass(frozen=True)
class Share:
    """Which images of a part one rank sees, and in what portions.

    batch_size is this rank's; train means shuffled, and augmented where the configuration says so.
    """

    batch_size: int
    train: bool
    seed: int
    rank: int = 0
    world_size: int = 1


class SampleOrder:
    """Which samples each batch of this rank holds.

    Training: a permutation of all samples drawn from (seed, epoch), its incomplete last global batch dropped,
    dealt to the ranks one by one. The ranks' n-th batches together hold the n-th batch of a single process
    with world_size times the batch size.
    Evaluation: samples in order, dealt to the ranks one by one, each exactly once; the last batch of a rank
    may be short and a rank may have fewer batches than another.

    Raises InputError, naming `source`, when a training set does not fill one global batch.
    """

    def __init__(self, num_samples: int, share: Share, source: str) -> None:
        assert share.batch_size > 0, share
        assert 0 <= share.rank < share.world_size, share
        self.num_samples, self.share = num_samples, share
        global_batch = share.batch_size * share.world_size
        if not share.train:
            mine = len(range(share.rank, num_samples, share.world_size))
            self.num_batches = -(-mine // share.batch_size)
        elif num_samples >= global_batch:
            self.num_batches = num_samples // global_batch
        else:
            raise InputError(
                f"{source}: the training set has {num_samples} images, fewer than one batch of "
                f"{global_batch}; set training.batch_size to at most {num_samples}"
            )

    def batches(self, epoch: int, first_batch: int = 0) -> tuple[Tensor, ...]:
        """Sample numbers, int64 [B] for each batch from `first_batch` on."""
        assert 0 <= first_batch <= self.num_batches, (first_batch, self.num_batches)
        if self.share.train:
            generator = torch.Generator().manual_seed(derived_seed("order", self.share.seed, epoch))
            order = torch.randperm(self.num_samples, generator=generator)
        else:
            order = torch.arange(self.num_samples)
        mine = order[self.share.rank :: self.share.world_size]
        return mine.split(self.share.batch_size)[first_batch : self.num_batches]


def derived_seed(purpose: str, *numbers: int) -> int:
    """A 63-bit seed that depends on all arguments; the same on every machine and for every Python."""
    key = "/".join([purpose, *map(str, numbers)])
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big") >> 1


def check_class_names(names: Sequence[str], source: str) -> None:
    """Raise InputError for a name that no file of ours could hold."""
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise InputError(f"{source}: the class name {name!a} is not UTF-8; rename it") from None


def check_num_classes(found: int, num_classes: int, source: str) -> None:
    """Raise InputError unless the network has as many outputs as the data has classes."""
    if found != num_classes:
        raise InputError(
            f"{source}: has {found} classes but model.num_classes is {num_classes}; "
            f"set model.num_classes to {found}"
        )
