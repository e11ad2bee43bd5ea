"""Image data for training and evaluation.

`open_data` gives the batches of one split of the data set that a configuration names:
  digits, fashion_mnist, cifar10, cifar100   small sets, held in memory and augmented a batch at a time
  imagenet, image_folder           `train/<class>/…` and `val/<class>/…`, read by worker processes
  a plugin's, by `register_data`   held in memory too
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dnw_graph.config.datasets import DATASETS, DataSet
from dnw_graph.config.settings import check_settings, parameters, settings_of
from dnw_graph.data.batches import Batches, DataSection, Share, check_num_classes
from dnw_graph.errors import InputError
from dnw_graph.registry import resolve

__all__ = ["Batches", "DataSection", "open_data", "register_data"]

Reader = TypeVar("Reader", bound=Callable[..., object])


def register_data(name: str, *, classes: int | None = None) -> Callable[[Reader], Reader]:
    """Decorator of a function that reads a set into memory: a config can then name it as `data.dataset`.

    The function is called as `read(directory, train)` and returns `dnw_graph.data.arrays.ImageArrays`; what
    other parameters it has are settings of its own, for `data.options`, checked against their types.
    classes  how many the set has, if a configuration with another number is to be refused at once
    """

    def keep(read: Reader) -> Reader:
        what = f"data set {name!r}"
        if not callable(read) or not {"directory", "train"} <= {*parameters(read, what)}:
            raise InputError(f"{what} takes no directory and train; define read(directory, train)")
        options = settings_of(read, ("directory", "train"), what)
        DATASETS.add(name, DataSet(read, classes, options if options.model_fields else None), read)
        return read

    return keep


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
    entry = DATASETS.get(data.dataset)
    if entry.read is None:
        from dnw_graph.data.image_folder import FolderBatches

        return FolderBatches(
            data.directory,
            share,
            image_size=image_size,
            num_classes=num_classes,
            augment=data.augment,
            workers=data.workers,
        )
    from dnw_graph.data.arrays import ArrayBatches, ImageArrays

    settings = {}
    if entry.options is not None:
        settings = check_settings(entry.options, data.options or {}, "data.options", data.dataset)
    arrays = resolve(entry.read)(directory=data.directory, train=train, **settings)
    if not isinstance(arrays, ImageArrays):
        raise InputError(
            f"data.dataset {data.dataset!r} gave a {type(arrays).__name__}; return "
            "dnw_graph.data.arrays.ImageArrays"
        )
    check_num_classes(len(arrays.class_names), num_classes, arrays.source)
    return ArrayBatches(arrays, share, image_size=image_size, fit=data.fit, augment=data.augment)
