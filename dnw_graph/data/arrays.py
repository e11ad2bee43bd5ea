"""Small image sets: held in memory as bytes, augmented a batch at a time."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from dnw_graph.data.batches import (
    Batches,
    DataSection,
    Part,
    SampleOrder,
    Share,
    Source,
    View,
    check_class_names,
    check_num_classes,
    derived_seed,
)
from dnw_graph.data.held_out import USUAL, held_out
from dnw_graph.data.preprocessing import describe, fit_images, fitting, normalise
from dnw_graph.errors import InputError

# Sets that would be larger than this after resizing are resized batch by batch, with the same result.
RESIDENT_BYTES = 2 << 30


@dataclass(frozen=True)
class ImageArrays:
    """The training or the test images of a small set as read from its files.

    images       uint8 [N, 1 or 3, h, w]
    labels       int64 [N]
    mean, std    per channel of the network's input, for pixels in [0, 1]
    shift        largest random shift in training, in pixels of a 32-pixel image; other sizes in proportion
    flip         whether training mirrors half of the images left to right
    """

    images: Tensor
    labels: Tensor
    class_names: list[str]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    shift: int
    flip: bool
    source: str


class ArraySource(Source):
    """A set in memory, of whose training images `data.validation` are kept apart.

    read  reads its training (True) or its test images (False)
    """

    def __init__(self, read: Callable[[bool], ImageArrays], data: DataSection, view: View) -> None:
        self._read, self._data, self._view = read, data, view
        self._share = USUAL if data.validation is None else data.validation
        self._pool: ImageArrays | None = None

    def batches(self, part: Part, batch_size: int) -> ArrayBatches | None:
        arrays, view = self._arrays(part), self._view
        if arrays is None:
            return None
        check_num_classes(len(arrays.class_names), view.num_classes, arrays.source)
        share = Share(batch_size, part == "train", view.seed, view.rank, view.world_size)
        return ArrayBatches(
            arrays, share, image_size=view.image_size, fit=self._data.fit, augment=self._data.augment
        )

    def _arrays(self, part: Part) -> ImageArrays | None:
        if part == "test":
            return self._read(False)
        if self._share == 0 and part == "validation":
            return None
        if self._pool is None:
            self._pool = self._read(True)
        pool = self._pool
        if self._share == 0:
            return pool
        apart = held_out(pool.labels, self._share, "validation", self._view.seed, pool.source)
        chosen = apart if part == "validation" else ~apart
        return replace(pool, images=pool.images[chosen], labels=pool.labels[chosen])


class ArrayBatches(Batches):
    """Batches of a set in memory.

    Training images are cropped at random from the image with a border of black pixels, that is shifted by up
    to `shift` pixels each way, and mirrored with probability one half. The random numbers belong to
    (seed, epoch, sample), so neither batch size nor number of ranks changes what happens to an image.
    """

    def __init__(
        self, arrays: ImageArrays, share: Share, *, image_size: int, fit: str, augment: bool
    ) -> None:
        height, width = arrays.images.shape[2:]
        self.preprocessing = describe(
            image_size, arrays.mean, arrays.std, **fitting(height, width, image_size, fit, arrays.source)
        )
        self.num_samples = len(arrays.images)
        self.class_names = list(arrays.class_names)
        self.source = arrays.source
        self.fingerprint = fingerprint(arrays)
        check_class_names(self.class_names, self.source)
        self._order = SampleOrder(self.num_samples, share, arrays.source)
        self.num_batches = self._order.num_batches
        self._seed = share.seed
        augment = augment and share.train
        self._border = round(arrays.shift * image_size / 32) if augment else 0
        self._flip = arrays.flip and augment
        self._labels = arrays.labels
        self._images = arrays.images
        self._resident = arrays.images.shape[:2].numel() * image_size**2 <= RESIDENT_BYTES
        if self._resident:
            self._images = fit_images(arrays.images, self.preprocessing)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        dy, dx, mirrored = self._draw(epoch)
        for samples in self._order.batches(epoch, first_batch):
            images = self._images[samples]
            if not self._resident:
                images = fit_images(images, self.preprocessing)
            if self._border:
                images = crop(images, self._border, dy[samples], dx[samples])
            if self._flip:
                images = torch.where(mirrored[samples, None, None, None], images.flip(-1), images)
            yield (
                normalise(images, self.preprocessing["mean"], self.preprocessing["std"]),
                self._labels[samples],
            )

    def _draw(self, epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """This epoch's crop corner and mirroring of every sample: int64 [N], int64 [N], bool [N]."""
        generator = torch.Generator().manual_seed(derived_seed("augment", self._seed, epoch))
        dy, dx = torch.randint(0, 2 * self._border + 1, (2, self.num_samples), generator=generator)
        mirrored = torch.randint(0, 2, (self.num_samples,), generator=generator).bool()
        return dy, dx, mirrored


def crop(images: Tensor, border: int, dy: Tensor, dx: Tensor) -> Tensor:
    """Cut [h, w] windows out of images with a black border, at row dy and column dx of the bordered image.

    images uint8 [B, C, h, w]; dy, dx int64 [B] in 0 … 2·border; dy = dx = border changes nothing.
    """
    height, width = images.shape[2:]
    windows = F.pad(images, (border,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    return windows[torch.arange(len(images)), :, dy, dx]


def fingerprint(arrays: ImageArrays) -> str:
    """A digest of images and labels as stored."""
    shape = f"{arrays.images.shape} {len(arrays.labels)}".encode()
    parts = (arrays.images.contiguous().numpy(), arrays.labels.contiguous().numpy())
    checksums = [zlib.crc32(part.reshape(-1).view("uint8").data) for part in parts]
    return hashlib.sha256(shape + str(checksums).encode()).hexdigest()


def check_labels(labels: Tensor, num_classes: int, source: str) -> None:
    """Raise InputError unless the labels are in 0 … num_classes − 1."""
    wrong = labels[(labels < 0) | (labels >= num_classes)]
    if len(wrong):
        raise InputError(
            f"{source}: label {int(wrong[0])} is outside 0 … {num_classes - 1}; "
            f"the file is damaged or belongs to another data set"
        )
