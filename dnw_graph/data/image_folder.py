"""Folders of images, ImageNet's among them: decoded by worker processes.

Training: a random resized crop (8 to 100 % of the area, or as data.crop says, aspect 3:4 to 4:3), mirrored
half of the time. Evaluation, and training without augmentation: the shorter side is resized to
image_size · 256/224, then the centre is cut out. Images smaller than that are enlarged. Grey, palette, CMYK
and transparent images are converted to 8-bit RGB (alpha is dropped); images with more than 8 bits per channel
are refused, since conversion would clip them.
"""

from __future__ import annotations

import hashlib
import os
import signal
import warnings
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from dnw_graph.data.batches import (
    Batches,
    DataSection,
    Part,
    SampleOrder,
    Share,
    Source,
    View,
    check_num_classes,
    derived_seed,
)
from dnw_graph.data.decode import Unreadable, decode
from dnw_graph.data.folder_parts import FolderParts, Images
from dnw_graph.data.preprocessing import describe, normalise
from dnw_graph.data.resized_centre import centre_steps, shorter_side_of
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError

# ImageNet's, as in torchvision's recipes; kept for other folders too, so that trained networks can be reused.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FolderSource(Source):
    """A folder of images by class, or of parts by class.

    has_test  whether images are read from test/, or kept apart for the test
    """

    def __init__(self, data: DataSection, view: View, *, has_test: bool) -> None:
        self._parts = FolderParts(data, view.seed, has_test=has_test)
        self._data, self._view = data, view

    def batches(self, part: Part, batch_size: int) -> FolderBatches | None:
        images, view = self._parts.images(part), self._view
        if images is None:
            return None
        check_num_classes(len(images.class_names), view.num_classes, images.source)
        share = Share(batch_size, part == "train", view.seed, view.rank, view.world_size)
        return FolderBatches(images, share, self._data, image_size=view.image_size)


class FolderBatches(Batches):
    """Batches of image files.

    The random numbers of an image belong to (seed, epoch, sample), whichever worker or rank draws them. The
    workers live from the first epoch until `close`, and serve one epoch at a time.
    """

    def __init__(self, images: Images, share: Share, data: DataSection, *, image_size: int) -> None:
        shorter_side = shorter_side_of(image_size)
        self.preprocessing = describe(
            image_size, MEAN, STD, resize={"shorter_side": shorter_side}, centre_crop=image_size
        )
        names = "\0".join(images.names)
        self.fingerprint = hashlib.sha256(os.fsencode(names)).hexdigest()
        self.num_samples = len(images.files)
        self.source, self.class_names = images.source, images.class_names
        self._order = SampleOrder(self.num_samples, share, self.source)
        self.num_batches = self._order.num_batches
        self._seed = share.seed
        self._workers = usual_workers() if data.workers is None else data.workers
        self._decoded = Decoded(
            images,
            image_size,
            shorter_side,
            crop=data.crop if data.augment and share.train else None,
            flip=data.flip,
            seed=share.seed,
        )
        self._plan = Plan()
        self._loader: DataLoader[Any] | None = None

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order.batches(epoch, first_batch)
        self._plan.batches = plan = [[(epoch, sample) for sample in batch.tolist()] for batch in order]
        for batch in self._started():
            if isinstance(batch, Unreadable):
                raise InputError(f"{batch.path}: {batch.reason}; replace or remove this file")
            pixels, labels = batch
            yield normalise(pixels, MEAN, STD), labels
            # Another epoch has the workers now, and what is left of them here.
            assert self._plan.batches is plan, "one epoch at a time"

    def close(self) -> None:
        self._loader = None

    def _started(self) -> Iterator[Any]:
        """The batches of the plan, decoded."""
        with warnings.catch_warnings():
            # How many workers are wise is the user's matter.
            warnings.filterwarnings("ignore", "This DataLoader will create")
            if self._loader is None:
                self._loader = DataLoader(
                    self._decoded,
                    batch_sampler=self._plan,
                    num_workers=self._workers,
                    persistent_workers=self._workers > 0,
                    collate_fn=collate,
                    worker_init_fn=leave_signals_to_the_main_process,
                    # Without its own generator a loader draws from torch's global one.
                    generator=torch.Generator().manual_seed(derived_seed("workers", self._seed)),
                )
            return iter(self._loader)


class Plan(Sampler[list[tuple[int, int]]]):
    """The batches of the epoch that comes next, as keys (epoch, sample number)."""

    def __init__(self) -> None:
        self.batches: list[list[tuple[int, int]]] = []

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


def usual_workers() -> int:
    """One for each CPU that this process may use, at most four."""
    affinity = getattr(os, "sched_getaffinity", None)
    return min(4, len(affinity(0)) if affinity else os.cpu_count() or 1)


class Decoded(Dataset[Any]):
    """Decoded and transformed images by (epoch, sample number): (uint8 [3, S, S], label) or Unreadable.

    crop  smallest share of the area in a random crop; None: treated as in evaluation
    """

    def __init__(
        self, images: Images, image_size: int, shorter_side: int, *, crop: float | None, flip: bool, seed: int
    ) -> None:
        self.files, self.labels, self.seed = images.files, images.labels, seed
        self.image_size, self.shorter_side = image_size, shorter_side
        self.crop, self.flip = crop, flip

    @cached_property
    def transform(self) -> Any:
        """torchvision's transform from an RGB image to uint8 [3, S, S].

        Made at first use: a spawned worker must import torchvision by `load_torchvision`, not by unpickling.
        """
        load_torchvision()
        from torchvision.transforms import v2

        if self.crop is not None:
            steps = [v2.RandomResizedCrop(self.image_size, scale=(self.crop, 1.0))]
            steps += [v2.RandomHorizontalFlip()] if self.flip else []
        else:
            steps = centre_steps(self.shorter_side, self.image_size)
        return v2.Compose([*steps, v2.PILToTensor()])

    def __getitem__(self, key: tuple[int, int]) -> tuple[Tensor, int] | Unreadable:
        epoch, sample = key
        image = decode(self.files[sample])
        if isinstance(image, Unreadable):
            return image
        # torchvision draws from torch's global CPU generator; without workers that is the caller's.
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(derived_seed("augment", self.seed, epoch, sample))
            return self.transform(image), self.labels[sample]


def collate(items: list[tuple[Tensor, int] | Unreadable]) -> tuple[Tensor, Tensor] | Unreadable:
    """Images uint8 [B, 3, S, S] and labels int64 [B], or the first image that cannot be read."""
    pixels, labels = [], []
    for item in items:
        if isinstance(item, Unreadable):
            return item
        pixels.append(item[0])
        labels.append(item[1])
    return torch.stack(pixels), torch.tensor(labels)


def leave_signals_to_the_main_process(worker: int) -> None:
    """Signals to the whole job reach every process; workers must live until the main process has saved.

    They end when it tells them to, or within seconds of its own end.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
