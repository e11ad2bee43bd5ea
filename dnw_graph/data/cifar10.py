"""CIFAR-10: 50,000 and 10,000 colour images of 32×32 pixels in ten classes, in batch files.

Looked for in the data directory, first match wins: the binary version (`cifar-10-batches-bin/`, or its files
right in the directory), read here; the Python version (`cifar-10-batches-py/`), read by torchvision, which
unpickles only files with the published checksums; otherwise torchvision downloads the Python version into the
data directory.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dnw_graph.data.arrays import ImageArrays, check_labels
from dnw_graph.data.download import data_directory, downloading, one_process_at_a_time
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError
from dnw_graph.limits import open_file

CLASS_NAMES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
# Of the 50,000 training images, per channel.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

TRAIN_FILES = [f"data_batch_{number}.bin" for number in range(1, 6)]
TEST_FILES = ["test_batch.bin"]
RECORD = 1 + 3 * 32 * 32  # label, then the red, green and blue planes row by row


def read(directory: str | None, train: bool) -> ImageArrays:
    """Read one split.

    Raises InputError when the files are nowhere and cannot be downloaded, or are not what they should be.
    """
    root = data_directory(directory, for_download=True)
    if root is None:
        raise InputError(
            "data.dataset cifar10: no data directory given; name one that holds cifar-10-batches-bin or "
            "cifar-10-batches-py, or an empty one to download into (data.directory or --data-dir)"
        )
    for folder in (root / "cifar-10-batches-bin", root):
        if any((folder / name).is_file() for name in TRAIN_FILES + TEST_FILES):
            images, labels = read_binary(folder, TRAIN_FILES if train else TEST_FILES)
            break
    else:
        folder = root / "cifar-10-batches-py"
        images, labels = read_python(root, train)
    return ImageArrays(
        images=images,
        labels=labels,
        class_names=CLASS_NAMES,
        mean=MEAN,
        std=STD,
        shift=4,
        flip=True,
        source=str(folder),
    )


def read_binary(folder: Path, names: list[str]) -> tuple[Tensor, Tensor]:
    """Read batch files of the binary version: images uint8 [N, 3, 32, 32], labels int64 [N]."""
    records = []
    for name in names:
        path = folder / name
        try:
            with open_file(path) as file:
                content = file.read()
        except OSError as error:
            raise InputError(
                f"{path}: cannot be read ({error.strerror}); add this file of CIFAR-10"
            ) from error
        if len(content) == 0 or len(content) % RECORD:
            raise InputError(
                f"{path}: has {len(content)} bytes, not a multiple of {RECORD} (a label and 3×32×32 pixels); "
                "download it again"
            )
        batch = torch.from_numpy(np.frombuffer(content, np.uint8).reshape(-1, RECORD).copy())
        check_labels(batch[:, 0], len(CLASS_NAMES), str(path))
        records.append(batch)
    table = torch.cat(records)
    return table[:, 1:].reshape(-1, 3, 32, 32), table[:, 0].long()


def read_python(root: Path, train: bool) -> tuple[Tensor, Tensor]:
    """Read the Python version through torchvision, downloading it if it is not there: as `read_binary`."""
    cifar10 = load_torchvision().datasets.CIFAR10
    folder = root / cifar10.base_folder
    with one_process_at_a_time(root):
        if not folder.exists():
            with downloading("CIFAR-10", root, "download it elsewhere and put cifar-10-batches-py there"):
                cifar10(root, download=True)
    try:
        data = cifar10(root, train=train)
    except RuntimeError as error:
        raise InputError(
            f"{folder}: files are missing or do not have CIFAR-10's published checksums; "
            "delete the folder to download it again"
        ) from error
    images = torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous()
    labels = torch.tensor(data.targets, dtype=torch.int64)
    check_labels(labels, len(CLASS_NAMES), str(folder))
    return images, labels
