"""scikit-learn's handwritten digits: 1797 grey images of 8×8 pixels, part of the package, no download.

They have no official split. Ours is fixed, whatever the run's seed: 1437 for training and 360 for the test,
stratified by class, drawn by
`sklearn.model_selection.train_test_split(range(1797), test_size=360, stratify=labels, random_state=0)`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from dnw_graph.data.arrays import ImageArrays
from dnw_graph.errors import InputError

TEST_SIZE = 360
# Of the 1437 training images at 8×8 pixels.
MEAN, STD = 0.3054, 0.3760


def read(directory: str | None, train: bool) -> ImageArrays:
    """Read one split; `directory` is not needed, as the images come with scikit-learn.

    Raises InputError for a directory that does not exist: it was meant for something.
    """
    if directory is not None and not Path(directory).is_dir():
        raise InputError(
            f"{directory}: no such directory; digits come with scikit-learn and need none, leave it out"
        )
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    pixels, labels = load_digits(return_X_y=True)
    parts = train_test_split(range(len(labels)), test_size=TEST_SIZE, stratify=labels, random_state=0)
    chosen = sorted(parts[0] if train else parts[1])
    images = torch.from_numpy(pixels[chosen]).view(-1, 1, 8, 8)
    return ImageArrays(
        images=(images * (255 / 16)).round().to(torch.uint8),
        labels=torch.from_numpy(labels[chosen]).long(),
        class_names=[str(digit) for digit in range(10)],
        mean=(MEAN,) * 3,
        std=(STD,) * 3,
        # The ink reaches the frame, and one stored pixel is 4 of 32: shift by half of one.
        shift=2,
        # A mirrored 2 or 5 is no digit, and mirroring brings others nearer to each other.
        flip=False,
        source="scikit-learn's digits",
    )
