"""Reading of CIFAR-10 and CIFAR-100, which differ in names, files and labels alone.

Looked for in the data directory, first match wins: the binary version (its folder, or its files right in the
directory), read here; the Python version, read by torchvision, which unpickles only files with the published
checksums; otherwise torchvision downloads the Python version into the data directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dnw_graph.data.arrays import ImageArrays, check_labels
from dnw_graph.data.download import data_directory, downloading, one_process_at_a_time
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError
from dnw_graph.limits import open_file

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Cifar:
    """One of the two.

    name            as in `data.dataset`;  title: as its authors write it
    binary, python  folders of the two versions
    train, test     files of the binary version
    labels          bytes before an image's pixels; the last of them is its class
    reader          torchvision's class
    mean, std       of the training images, per channel
    """

    name: str
    title: str
    binary: str
    python: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    labels: int
    reader: str
    class_names: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def read(self, directory: str | None, train: bool) -> ImageArrays:
        """Read one split.

        Raises InputError when the files are nowhere and cannot be downloaded, or are not what they should be.
        """
        root = data_directory(directory, for_download=True)
        if root is None:
            raise InputError(
                f"data.dataset {self.name}: no data directory given; name one that holds {self.binary} or "
                f"{self.python}, or an empty one to download into (data.directory or --data-dir)"
            )
        for folder in (root / self.binary, root):
            if any((folder / name).is_file() for name in self.train + self.test):
                images, labels = self.read_binary(folder, self.train if train else self.test)
                break
        else:
            folder = root / self.python
            images, labels = self.read_python(root, train)
        return ImageArrays(
            images=images,
            labels=labels,
            class_names=list(self.class_names),
            mean=self.mean,
            std=self.std,
            shift=4,
            flip=True,
            source=str(folder),
        )

    def read_binary(self, folder: Path, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
        """Read files of the binary version: images uint8 [N, 3, 32, 32], labels int64 [N]."""
        tables = []
        # Labels, then the red, green and blue planes row by row.
        record = self.labels + PIXELS
        for name in names:
            path = folder / name
            try:
                with open_file(path) as file:
                    content = file.read()
            except OSError as error:
                raise InputError(
                    f"{path}: cannot be read ({error.strerror}); add this file of {self.title}"
                ) from error
            if len(content) == 0 or len(content) % record:
                what = "a label" if self.labels == 1 else f"{self.labels} labels"
                raise InputError(
                    f"{path}: has {len(content)} bytes, not a multiple of {record} ({what} and 3×32×32 "
                    "pixels); download it again"
                )
            table = torch.from_numpy(np.frombuffer(content, np.uint8).reshape(-1, record).copy())
            check_labels(table[:, self.labels - 1], len(self.class_names), str(path))
            tables.append(table)
        every = torch.cat(tables)
        return every[:, self.labels :].reshape(-1, 3, 32, 32), every[:, self.labels - 1].long()

    def read_python(self, root: Path, train: bool) -> tuple[Tensor, Tensor]:
        """Read the Python version through torchvision, which downloads it if needed: as `read_binary`."""
        reader = getattr(load_torchvision().datasets, self.reader)
        folder = root / self.python
        with one_process_at_a_time(root):
            if not folder.exists():
                with downloading(self.title, root, f"download it elsewhere and put {self.python} there"):
                    reader(root, download=True)
        try:
            data = reader(root, train=train)
        except RuntimeError as error:
            raise InputError(
                f"{folder}: files are missing or do not have {self.title}'s published checksums; "
                "delete the folder to download it again"
            ) from error
        images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
        labels = torch.tensor(data.targets, dtype=torch.int64)
        check_labels(labels, len(self.class_names), str(folder))
        return images, labels
