"""CIFAR-100: two labels an image, of which the second is the class."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch

from dnw_graph.data.cifar100 import CIFAR100
from dnw_graph.dependencies import load_torchvision
from dnw_graph.errors import InputError


def records(count, seed=0):
    """Coarse label, fine label, pixels."""
    table = np.random.default_rng(seed).integers(0, 256, (count, 3074), dtype=np.uint8)
    table[:, 0], table[:, 1] = np.arange(count) % 20, np.arange(count) * 7 % 100
    return table


@pytest.fixture
def binary(tmp_path):
    folder = tmp_path / "cifar-100-binary"
    folder.mkdir()
    for seed, name in enumerate(CIFAR100.train + CIFAR100.test):
        (folder / name).write_bytes(records(12, seed).tobytes())
    return folder


@pytest.fixture
def python_version(tmp_path, monkeypatch):
    """Tiny files as published, with their checksums told to torchvision, whose reader this is."""
    dataset = load_torchvision().datasets.CIFAR100
    folder = tmp_path / "cifar-100-python"
    folder.mkdir()

    def write(name, content):
        (folder / name).write_bytes(pickle.dumps(content))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def part(name, seed):
        table = records(12, seed)
        labels = {"coarse_labels": table[:, 0].tolist(), "fine_labels": table[:, 1].tolist()}
        return [name, write(name, {"data": table[:, 2:], **labels})]

    monkeypatch.setattr(dataset, "train_list", [part("train", 0)])
    monkeypatch.setattr(dataset, "test_list", [part("test", 1)])
    meta = {**dataset.meta, "md5": write("meta", {"fine_label_names": list(CIFAR100.class_names)})}
    monkeypatch.setattr(dataset, "meta", meta)
    return folder


@pytest.mark.parametrize("train", [True, False])
def test_both_versions_hold_the_same_images(python_version, binary, tmp_path, train):
    ours = CIFAR100.read_binary(binary, CIFAR100.train if train else CIFAR100.test)
    theirs = CIFAR100.read_python(tmp_path, train)
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
    assert ours[1].tolist() == [index * 7 % 100 for index in range(12)]


def test_class_names_are_those_of_the_labels():
    """In the order of the published files: by the alphabet."""
    assert len(set(CIFAR100.class_names)) == 100
    assert list(CIFAR100.class_names) == sorted(CIFAR100.class_names)


def test_wrong_length(binary):
    (binary / "test.bin").write_bytes(bytes(3073))
    with pytest.raises(InputError, match=r"has 3073 bytes, not a multiple of 3074 \(2 labels and"):
        CIFAR100.read_binary(binary, CIFAR100.test)


def test_no_directory():
    with pytest.raises(InputError, match=r"data.dataset cifar100: no data directory given"):
        CIFAR100.read(None, train=True)
