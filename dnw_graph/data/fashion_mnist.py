"""Fashion-MNIST: 60,000 and 10,000 grey images of 28×28 pixels, ten kinds of clothes, in four idx files.

Looked for, first match wins: `FashionMNIST/raw/` in the data directory (torchvision's layout), the data
directory itself, Debian's package dataset-fashion-mnist; otherwise torchvision downloads it into the data
directory. The files may be gzipped or not. They are read here, not by torchvision, whose reader takes no gzip
and has no sentence for a truncated file.
"""

from __future__ import annotations

from pathlib import Path

from dnw_graph.data.arrays import ImageArrays, check_labels
from dnw_graph.data.download import data_directory, downloading, one_process_at_a_time
from dnw_graph.data.idx import read_idx
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError

FILES = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
THREE_WAYS = "its idx files in data.directory, Debian's package dataset-fashion-mnist, or a download"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
CLASS_NAMES = [
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
]
# Of the 60,000 training images at 28×28 pixels.
MEAN, STD = 0.2860, 0.3530


def read(directory: str | None, train: bool) -> ImageArrays:
    """Read one split.

    Raises InputError when the files are nowhere and cannot be downloaded, or are not what they should be.
    """
    part = "train" if train else "t10k"
    folder = find_folder(directory)
    image_file = existing_file(folder, f"{part}-images-idx3-ubyte")
    label_file = existing_file(folder, f"{part}-labels-idx1-ubyte")
    images, labels = read_idx(image_file, dimensions=3), read_idx(label_file, dimensions=1).long()
    if images.shape[1:] != (28, 28):
        height, width = images.shape[1:]
        raise InputError(f"{image_file}: images have {height}×{width} pixels, Fashion-MNIST has 28×28")
    if len(images) != len(labels):
        raise InputError(f"{image_file}: {len(images)} images, but {label_file} has {len(labels)} labels")
    if len(images) == 0:
        raise InputError(f"{image_file}: holds no image; download Fashion-MNIST again")
    check_labels(labels, len(CLASS_NAMES), str(label_file))
    return ImageArrays(
        images=images.unsqueeze(1),
        labels=labels,
        class_names=CLASS_NAMES,
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
        shift=4,
        flip=True,
        source=str(folder),
    )


def find_folder(directory: str | None) -> Path:
    """The first folder that holds any of the files, after a download if need be.

    An incomplete torchvision folder is what an interrupted download leaves; another attempt completes it.
    """
    root = data_directory(directory, for_download=True)
    if root is None:
        if holds_any(DEBIAN_FOLDER):
            return DEBIAN_FOLDER
        raise InputError(
            f"data.dataset fashion_mnist: not found in {DEBIAN_FOLDER} and no data directory given; "
            f"there are three ways to get it: {THREE_WAYS} by torchvision into data.directory"
        )
    downloaded = root / "FashionMNIST" / "raw"
    with one_process_at_a_time(root):
        if holds_any(downloaded):
            if all(any(downloaded.glob(f"{name}*")) for name in FILES):
                return downloaded
        else:
            for folder in (root, DEBIAN_FOLDER):
                if holds_any(folder):
                    return folder
        with downloading("Fashion-MNIST", root, f"use one of {THREE_WAYS} on a machine with a network"):
            load_torchvision().datasets.FashionMNIST(root, download=True)
    return downloaded


def holds_any(folder: Path) -> bool:
    return any((folder / f"{name}{suffix}").is_file() for name in FILES for suffix in ("", ".gz"))


def existing_file(folder: Path, name: str) -> Path:
    """`name` or `name.gz` in `folder`, whichever is there."""
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(
        f"{folder / name}: missing (.gz or not) although other files of the set are there; add it"
    )
