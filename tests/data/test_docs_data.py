"""docs/data.md: its tables hold the readers' numbers, and its example is a reader."""

from __future__ import annotations

import gzip
import re
import struct
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnw_graph.config.datasets import DATASETS
from dnw_graph.data import arrays, image_folder
from dnw_graph.data.batches import Share
from dnw_graph.dependencies import load_torchvision

PAGE = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")


def table(header: str) -> dict[str, list[str]]:
    """Cells after the first of the table whose second column is so called, by data set."""
    lines = PAGE[PAGE.index(f"| `data.dataset` | {header} |") :].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: cells for first, *cells in rows for name in re.findall(r"`([^`]+)`", first)}


def numbers(cell: str) -> tuple[float, ...]:
    return tuple(float(text) for text in cell.split(", "))


def three(value: Any) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("header", ["training / test images", "mean"])
def test_every_data_set_has_a_row(header):
    assert set(table(header)) == set(DATASETS.entries)


@pytest.mark.parametrize("name", sorted(DATASETS.entries))
def test_means_and_deviations_are_those_of_the_reader(name):
    reader = import_module(f"dnw_graph.data.{name}") if DATASETS.get(name).read is not None else image_folder
    mean, std, _, _ = table("mean")[name]
    assert (numbers(mean), numbers(std)) == (three(reader.MEAN), three(reader.STD))


def test_sizes_and_augmentation_of_digits():
    counts = table("training / test images")["digits"][0].replace(",", "").split(" / ")
    splits = [import_module("dnw_graph.data.digits").read(None, train) for train in (True, False)]
    assert [len(split.images) for split in splits] == [int(count) for count in counts]
    assert table("mean")["digits"][2:] == [str(splits[0].shift), "yes" if splits[0].flip else "no"]


def test_suffixes_of_image_files_are_torchvisions():
    sentence = PAGE.split("Files count by their suffix:")[1].split(",")[0]
    listed = re.findall(r"\.[a-z]+", sentence)
    assert sorted(listed) == sorted(load_torchvision().datasets.folder.IMG_EXTENSIONS)


def test_the_example_reads_a_set(tmp_path):
    for part, count in (("train", 5), ("test", 2)):
        for kind, array in (
            ("images", np.arange(count * 16, dtype=np.uint8).reshape(count, 4, 4)),
            ("labels", np.arange(count, dtype=np.uint8) % 3),
        ):
            header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
            (tmp_path / f"{part}-{kind}.gz").write_bytes(gzip.compress(header + array.tobytes()))
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    example: dict[str, Any] = {}
    exec(compile(code, "docs/data.md", "exec"), example)

    split = example["read"](str(tmp_path), train=True)
    assert split.labels.tolist() == [0, 1, 2, 0, 1]
    share = Share(batch_size=5, train=True, seed=0)
    batches = arrays.ArrayBatches(split, share, image_size=8, fit="resize", augment=True)
    images, labels = next(batches.epoch(0))
    assert images.shape == (5, 3, 8, 8)
    assert images.dtype == torch.float32
    assert sorted(labels.tolist()) == [0, 0, 1, 1, 2]
