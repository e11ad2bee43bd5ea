"""Which files of a folder of images belong to which part, and which class each is of.

DIR/cat/1.jpg               one folder for each class; validation and test parts are kept apart
DIR/train/cat/1.jpg         the same in parts: train/, val/ (or valid/, validation/), test/
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import torch

from dnw_graph.data.batches import DataSection, Part, check_class_names
from dnw_graph.data.decode import SUFFIXES
from dnw_graph.data.download import data_directory
from dnw_graph.data.held_out import USUAL, held_out
from dnw_graph.errors import InputError

FOLDERS: dict[Part, tuple[str, ...]] = {
    "train": ("train",),
    "validation": ("val", "valid", "validation"),
    "test": ("test",),
}
"""How the folder of a part may be called."""


@dataclass(frozen=True)
class Images:
    """The images of one part.

    files   paths, class by class
    labels  of each, its position in class_names, which are sorted
    names   of each, its path from the folder that was listed, / first
    source  where they are, for errors
    """

    files: list[str]
    labels: list[int]
    names: list[str]
    class_names: list[str]
    source: str

    def chosen(self, which: torch.Tensor) -> Images:
        """Those at which `which`, bool [N], is true."""
        kept = which.nonzero().flatten().tolist()
        return replace(
            self,
            files=[self.files[each] for each in kept],
            labels=[self.labels[each] for each in kept],
            names=[self.names[each] for each in kept],
        )


class FolderParts:
    """The parts of a folder: those with a folder of their own, and those kept apart from the training images.

    Test images are the same for every seed.
    """

    def __init__(self, data: DataSection, seed: int, *, has_test: bool) -> None:
        """Raises InputError where there is no such directory, or its parts cannot be told."""
        if data.directory is None:
            raise InputError(
                "data.directory: no data directory given; name one with one folder per class, or with "
                "train/, val/ and test/ and one folder per class in each"
            )
        root = data_directory(data.directory)
        assert root is not None
        self._seed = seed
        self._folders = find_folders(root)
        if not has_test:
            self._folders.pop("test", None)
        if not self._folders:
            self._folders = {"train": root}
        self._root = root
        own_validation = "validation" in self._folders
        if data.validation and own_validation:
            raise InputError(
                f"data.validation {data.validation:g}: {self._folders['validation']} is there to choose by; "
                "leave it out, or remove that folder"
            )
        if data.test and "test" in self._folders:
            raise InputError(
                f"data.test {data.test:g}: {self._folders['test']} is there for the test; leave it out"
            )
        is_whole = has_test and not own_validation and "test" not in self._folders
        self._shares: dict[Part, float] = {
            "test": data.test if data.test is not None else USUAL if is_whole else 0.0,
            "validation": 0.0 if own_validation else USUAL if data.validation is None else data.validation,
        }
        self._listed: dict[Path, Images] = {}

    def pool(self) -> Images:
        """Those that are in no other part's folder. Raises InputError for what is missing or unsorted."""
        if "train" not in self._folders:
            raise InputError(f"{self._root / 'train'}: missing; put one folder per class there")
        return self._all("train")

    def images(self, part: Part) -> Images | None:
        """The images of a part; None: there is none. Raises InputError for what is missing or unsorted."""
        if part in self._folders and part != "train":
            return self._all(part)
        if part != "train" and not (self._shares[part] and "train" in self._folders):
            return None
        rest = self.pool()
        kept: tuple[Part, ...] = ("test", "validation")
        for each in kept:
            if not self._shares[each]:
                continue
            # The test images stay the same, so that networks of different seeds can be compared.
            seed = 0 if each == "test" else self._seed
            apart = held_out(torch.tensor(rest.labels), self._shares[each], each, seed, rest.source)
            if each == part:
                return rest.chosen(apart)
            rest = rest.chosen(~apart)
        return rest

    def _all(self, part: Part) -> Images:
        folder = self._folders[part]
        if folder not in self._listed:
            self._check_classes()
            self._listed[folder] = list_images(folder)
        return self._listed[folder]

    def _check_classes(self) -> None:
        """Raise InputError unless all parts have the same classes, so that no epoch is trained in vain."""
        classes = {folder: class_folders(folder) for folder in self._folders.values()}
        for one, other in combinations(classes, 2):
            for here, there in ((one, other), (other, one)):
                if extra := classes[here] - classes[there]:
                    raise InputError(
                        f"{here / min(extra)}: {there} has no such class folder; {one.name} and {other.name} "
                        "must have the same ones"
                    )


def find_folders(root: Path) -> dict[Part, Path]:
    """The parts that have a folder of their own. Raises InputError for two folders of one part."""
    found: dict[Part, Path] = {}
    for part, names in FOLDERS.items():
        there = [root / name for name in names if (root / name).is_dir()]
        if len(there) > 1:
            raise InputError(f"{there[0]}: {there[1]} is there too; keep one of them for validation")
        if there:
            found[part] = there[0]
    return found


def class_folders(folder: Path) -> set[str]:
    """Names of the classes; hidden folders are none. Raises InputError where there is no class."""
    names = {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}
    if not names:
        raise InputError(f"{folder}: has no class folders; sort the images into one folder per class")
    return names


def list_images(folder: Path) -> Images:
    """All images in class folders. Raises InputError for a class without any."""
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
    within = [file[len(str(folder)) :] for file in files]
    return Images(files, labels, within, names, str(folder))


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
