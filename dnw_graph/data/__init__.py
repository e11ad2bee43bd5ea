"""Image data for training and evaluation.

`open_data` gives the parts of the data set that a configuration names, to train, to validate and to test:
  digits, fashion_mnist, cifar10, cifar100   small sets, held in memory and augmented a batch at a time
  imagenet, image_folder           a folder for each class, read by worker processes
  a plugin's, by `register_data`   held in memory too
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dnw_graph.config.datasets import DATASETS, DataSet
from dnw_graph.config.settings import check_settings, parameters, settings_of
from dnw_graph.data.batches import Batches, DataSection, Part, Source, View
from dnw_graph.errors import InputError
from dnw_graph.registry import resolve

__all__ = ["Batches", "DataSection", "Part", "Source", "open_data", "register_data"]

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
    data: DataSection, *, image_size: int, num_classes: int, seed: int, rank: int = 0, world_size: int = 1
) -> Source:
    """The data set of a configuration for one rank; `batches(part, batch_size)` opens a part of it.

    Training images are shuffled, augmented if `data.augment`, and the incomplete last batch is dropped; the
    others come in order, whole, each image on exactly one rank.
    Raises InputError for data that is missing, damaged, or does not fit image_size, num_classes or
    batch_size, some of it when a part is opened.
    """
    view = View(image_size, num_classes, seed, rank, world_size)
    entry = DATASETS.get(data.dataset)
    if entry.read is None:
        from dnw_graph.data.image_folder import FolderSource

        return FolderSource(data, view, has_test=entry.has_test)
    from dnw_graph.data.arrays import ArraySource, ImageArrays

    settings = {}
    if entry.options is not None:
        settings = check_settings(entry.options, data.options or {}, "data.options", data.dataset)
    reader = resolve(entry.read)

    def read(train: bool) -> ImageArrays:
        arrays = reader(directory=data.directory, train=train, **settings)
        if not isinstance(arrays, ImageArrays):
            raise InputError(
                f"data.dataset {data.dataset!r} gave a {type(arrays).__name__}; return "
                "dnw_graph.data.arrays.ImageArrays"
            )
        return arrays

    return ArraySource(read, data, view)
