"""Which data sets `data.dataset` may name. Of the package's own, only the place is here, as for networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dnw_graph.config.section import Section
from dnw_graph.registry import Registry


@dataclass(frozen=True)
class DataSet:
    """One data set.

    read      `read(directory, train, **options)` of a set that lives in memory, or its place "module:name";
              None: a folder for each class, perhaps in `train/`, `val/`, `test/`, read by worker processes
    classes   how many it has; None: the directory tells
    options   what else `read` takes, from data.options; None: nothing
    has_test  of a folder, whether images are read from `test/`, or kept apart for the test
    """

    read: str | Callable[..., Any] | None
    classes: int | None = None
    options: type[Section] | None = None
    has_test: bool = True


DATASETS: Registry[DataSet] = Registry("data.dataset", "data set")

for _name, _classes in (("digits", 10), ("fashion_mnist", 10), ("cifar10", 10), ("cifar100", 100)):
    _place = f"dnw_graph.data.{_name}:read"
    DATASETS.add(_name, DataSet(_place, _classes), _place)
# ImageNet's test images have no labels.
DATASETS.add("imagenet", DataSet(None, 1000, has_test=False), "dnw_graph.data.image_folder:FolderSource")
DATASETS.add("image_folder", DataSet(None), "dnw_graph.data.image_folder:FolderSource")
