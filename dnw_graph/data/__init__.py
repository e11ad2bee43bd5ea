"""Image data for training and evaluation.

`open_data` gives the batches of one split of the data set that a configuration names:
  digits, fashion_mnist, cifar10   small sets, held in memory and augmented a batch at a time
  imagenet, image_folder           `train/<class>/…` and `val/<class>/…`, read by worker processes
"""

from __future__ import annotations

from importlib import import_module

from dnw_graph.config.schema import IN_MEMORY
from dnw_graph.data.batches import Batches, DataSection, Share, check_num_classes
from dnw_graph.errors import InputError

__all__ = ["DATASETS", "Batches", "DataSection", "open_data"]

FOLDERS = ("imagenet", "image_folder")
DATASETS = IN_MEMORY + FOLDERS


def open_data(
    data: DataSection,
    *,
    image_size: int,
    num_classes: int,
    batch_size: int,
    train: bool,
    seed: int,
    rank: int = 0,
    world_size: int = 1,
) -> Batches:
    """Open the training or the test split for one rank.

    batch_size is this rank's. Training is shuffled, augmented if `data.augment`, and drops the incomplete
    last batch; the test split comes in order, whole, each image on exactly one rank.
    Raises InputError for data that is missing, damaged, or does not fit image_size, num_classes or
    batch_size.
    """
    share = Share(batch_size=batch_size, train=train, seed=seed, rank=rank, world_size=world_size)
    if data.dataset in IN_MEMORY:
        from dnw_graph.data.arrays import ArrayBatches

        arrays = import_module(f"dnw_graph.data.{data.dataset}").read(data.directory, train)
        check_num_classes(len(arrays.class_names), num_classes, arrays.source)
        return ArrayBatches(arrays, share, image_size=image_size, fit=data.fit, augment=data.augment)
    if data.dataset in FOLDERS:
        from dnw_graph.data.image_folder import FolderBatches

        return FolderBatches(
            data.directory,
            share,
            image_size=image_size,
            num_classes=num_classes,
            augment=data.augment,
            workers=data.workers,
        )
    raise InputError(f"data.dataset: {data.dataset!r} is none of {', '.join(DATASETS)}")
