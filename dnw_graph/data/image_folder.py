"""ImageNet, and any directory with `train/<class>/…` and `val/<class>/…`: decoded by worker processes.

Training: a random resized crop (8 to 100 % of the area, aspect 3:4 to 4:3), mirrored half of the time.
Evaluation, and training without augmentation: the shorter side is resized to image_size · 256/224, then the
centre is cut out. Images smaller than that are enlarged. Grey, palette, CMYK and transparent images are
converted to 8-bit RGB (alpha is dropped); images with more than 8 bits per channel are refused, since
conversion would clip them.
"""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from dnw_graph.data.batches import (
    Batches,
    SampleOrder,
    Share,
    check_class_names,
    check_num_classes,
    derived_seed,
)
from dnw_graph.data.decode import SUFFIXES, Unreadable, decode
from dnw_graph.data.download import data_directory
from dnw_graph.data.preprocessing import describe, normalise
from dnw_graph.data.resized_centre import centre_steps, shorter_side_of
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError

# ImageNet's, as in torchvision's recipes; kept for other folders too, so that trained networks can be reused.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FolderBatches(Batches):
    """Batches of an image folder.

    The random numbers of an image belong to (seed, epoch, sample), whichever worker or rank draws them.
    """

    def __init__(
        self,
        directory: str | None,
        share: Share,
        *,
        image_size: int,
        num_classes: int,
        augment: bool,
        workers: int,
    ) -> None:
        folder = split_folder(directory, share.train)
        shorter_side = shorter_side_of(image_size)
        self.preprocessing = describe(
            image_size, MEAN, STD, resize={"shorter_side": shorter_side}, centre_crop=image_size
        )
        files, labels, self.class_names = list_images(folder)
        names = "\0".join(file[len(str(folder)) :] for file in files)
        self.fingerprint = hashlib.sha256(os.fsencode(names)).hexdigest()
        self.num_samples = len(files)
        self.source = str(folder)
        check_num_classes(len(self.class_names), num_classes, self.source)
        self._order = SampleOrder(self.num_samples, share, self.source)
        self.num_batches = self._order.num_batches
        self._seed, self._workers = share.seed, workers
        self._images = Images(files, labels, image_size, shorter_side, augment and share.train, share.seed)

    def epoch(self, epoch: int, first_batch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        order = self._order.batches(epoch, first_batch)
        loader = DataLoader(
            self._images,
            batch_sampler=([(epoch, sample) for sample in batch.tolist()] for batch in order),
            num_workers=self._workers,
            collate_fn=collate,
            worker_init_fn=leave_signals_to_the_main_process,
            # Without its own generator a loader draws from torch's global one.
            generator=torch.Generator().manual_seed(derived_seed("workers", self._seed, epoch)),
        )
        for batch in loader:
            if isinstance(batch, Unreadable):
                raise InputError(f"{batch.path}: {batch.reason}; replace or remove this file")
            pixels, labels = batch
            yield normalise(pixels, MEAN, STD), labels


class Images(Dataset[Any]):
    """Decoded and transformed images by (epoch, sample number): (uint8 [3, S, S], label) or Unreadable."""

    def __init__(
        self,
        files: list[str],
        labels: list[int],
        image_size: int,
        shorter_side: int,
        augment: bool,
        seed: int,
    ) -> None:
        self.files, self.labels, self.seed = files, labels, seed
        self.image_size, self.shorter_side, self.augment = image_size, shorter_side, augment

    @cached_property
    def transform(self) -> Any:
        """torchvision's transform from an RGB image to uint8 [3, S, S].

        Made at first use: a spawned worker must import torchvision by `load_torchvision`, not by unpickling.
        """
        load_torchvision()
        from torchvision.transforms import v2

        if self.augment:
            steps = [v2.RandomResizedCrop(self.image_size), v2.RandomHorizontalFlip()]
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


def split_folder(directory: str | None, train: bool) -> Path:
    """`train` or `val` in the data directory.

    Training asks for both, with the same classes, so that it does not fail after its first epoch.
    """
    if directory is None:
        raise InputError(
            "data.directory: no data directory given; "
            "name one with train/ and val/, one folder per class in each"
        )
    root = data_directory(directory)
    assert root is not None
    for name in ("train", "val") if train else ("val",):
        if not (root / name).is_dir():
            raise InputError(f"{root / name}: missing; put one folder per class there")
    if (root / "train").is_dir():
        train_classes, val_classes = class_folders(root / "train"), class_folders(root / "val")
        for extra, here, there in (
            (train_classes - val_classes, "train", "val"),
            (val_classes - train_classes, "val", "train"),
        ):
            if extra:
                raise InputError(
                    f"{root / here / min(extra)}: {root / there} has no such class folder; "
                    "train and val must have the same ones"
                )
    return root / ("train" if train else "val")


def class_folders(folder: Path) -> set[str]:
    names = {entry.name for entry in folder.iterdir() if entry.is_dir()}
    if not names:
        raise InputError(f"{folder}: has no class folders; sort the images into one folder per class")
    return names


def list_images(folder: Path) -> tuple[list[str], list[int], list[str]]:
    """Paths and labels of all images in class order, and the class names, sorted."""
    names = sorted(class_folders(folder))
    check_class_names(names, str(folder))
    files: list[str] = []
    labels: list[int] = []
    seen: dict[tuple[int, int], str] = {}
    for label, name in enumerate(names):
        found = list(files_in(folder / name, seen))
        if not found:
            raise InputError(
                f"{folder / name}: a class folder with no image; add images or remove the folder"
            )
        files += found
        labels += [label] * len(found)
    return files, labels, names


def files_in(folder: Path, seen: dict[tuple[int, int], str]) -> Iterator[str]:
    """Images of a class, folder by folder in the order of their names, links to folders followed.

    seen  the folders met so far, by device and number; one that is met again is refused, since its images
          would count twice, or without end if a link leads back
    """

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be read ({error.strerror}); check its permissions")

    met = []
    for here, _, names in os.walk(folder, followlinks=True, onerror=refuse):
        status = Path(here).stat()
        first = seen.setdefault((status.st_dev, status.st_ino), here)
        if first != here:
            raise InputError(f"{here}: is the folder {first} once more, by a link; remove the link")
        met.append((here, names))
    for here, names in sorted(met):
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                yield os.path.join(here, name)  # noqa: PTH118 (paths of a million files are kept as text)


def leave_signals_to_the_main_process(worker: int) -> None:
    """Signals to the whole job reach every process; workers must live until the main process has saved.

    They end when it tells them to, or within seconds of its own end.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
