"""CIFAR-10 in its binary and its Python version."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch

from dnw_graph.data.cifar10 import CIFAR10
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError


def records(count, seed=0):
    random = np.random.default_rng(seed)
    table = random.integers(0, 256, (count, 3073), dtype=np.uint8)
    table[:, 0] = np.arange(count) % 10
    return table


@pytest.fixture
def binary(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for seed, name in enumerate(CIFAR10.train + CIFAR10.test):
        (folder / name).write_bytes(records(6, seed).tobytes())
    return folder


def test_binary_version(open_split, binary, tmp_path):
    train, test = (open_split("cifar10", tmp_path, part=part) for part in ("train", "test"))
    assert (train.num_samples, test.num_samples) == (30, 6)
    assert train.class_names[0] == "airplane"
    assert train.source == str(binary)
    assert torch.cat([labels for _, labels in test.epoch(0)]).tolist() == list(range(6))


def test_binary_files_right_in_the_directory(open_split, binary):
    assert open_split("cifar10", binary).num_samples == 30


def test_planes_are_red_green_blue(binary):
    table = records(6)
    table[0, 1:] = np.repeat([10, 20, 30], 1024)
    (binary / "test_batch.bin").write_bytes(table.tobytes())
    images, labels = CIFAR10.read_binary(binary, ["test_batch.bin"])
    assert images.shape == (6, 3, 32, 32)
    assert labels.dtype == torch.int64
    assert images[0].flatten(1).unique(dim=1).flatten().tolist() == [10, 20, 30]


@pytest.fixture
def python_version(tmp_path, monkeypatch):
    """Tiny batches as published, with their checksums told to torchvision, whose reader this is."""
    dataset = load_torchvision().datasets.CIFAR10
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(name, seed):
        table = records(6, seed)
        return [name, write(name, {"data": table[:, 1:], "labels": table[:, 0].tolist()})]

    monkeypatch.setattr(dataset, "train_list", [batch(f"data_batch_{n}", n - 1) for n in range(1, 6)])
    monkeypatch.setattr(dataset, "test_list", [batch("test_batch", 5)])
    meta = {**dataset.meta, "md5": write("batches.meta", {"label_names": list(CIFAR10.class_names)})}
    monkeypatch.setattr(dataset, "meta", meta)
    return folder


@pytest.mark.parametrize("train", [True, False])
def test_both_versions_hold_the_same_images(python_version, binary, tmp_path, train):
    names = CIFAR10.train if train else CIFAR10.test
    for ours, theirs in zip(
        CIFAR10.read_binary(binary, names), CIFAR10.read_python(tmp_path, train), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_python_version(open_split, python_version, tmp_path):
    data = open_split("cifar10", tmp_path)
    assert data.num_samples == 30
    assert data.source == str(python_version)


def test_python_version_with_other_checksums_is_not_unpickled(open_split, python_version, tmp_path):
    path = python_version / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-1])
    message = "cifar-10-batches-py: files are missing or do not have CIFAR-10's published checksums; delete"
    with pytest.raises(InputError, match=message):
        open_split("cifar10", tmp_path)


def test_download_without_network(open_split, tmp_path, monkeypatch):
    monkeypatch.setattr(load_torchvision().datasets.CIFAR10, "url", "http://127.0.0.1:1/cifar.tar.gz")
    with pytest.raises(InputError, match=f"CIFAR-10 could not be downloaded into {tmp_path} .*refused"):
        open_split("cifar10", tmp_path)


def test_no_directory(open_split):
    with pytest.raises(InputError, match="no data directory given; name one"):
        open_split("cifar10")


def test_wrong_length(open_split, binary, tmp_path):
    path = binary / "data_batch_2.bin"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=f"{path}: has 18433 bytes, not a multiple of 3073"):
        open_split("cifar10", tmp_path)


def test_label_out_of_range(open_split, binary, tmp_path):
    table = records(6)
    table[3, 0] = 17
    (binary / "data_batch_5.bin").write_bytes(table.tobytes())
    with pytest.raises(InputError, match=r"data_batch_5.bin: label 17 is outside 0 … 9"):
        open_split("cifar10", tmp_path)


def test_missing_batch(open_split, binary, tmp_path):
    (binary / "data_batch_4.bin").unlink()
    with pytest.raises(InputError, match=r"data_batch_4.bin: cannot be read .*; add this file"):
        open_split("cifar10", tmp_path)
