"""The embedded digits."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch

from dnw_graph.data import digits
from dnw_graph.errors import InputError


def test_split_is_fixed_stratified_and_disjoint():
    train, test = digits.read(None, train=True), digits.read(None, train=False)
    assert train.images.shape == (1437, 1, 8, 8)
    assert test.images.shape == (360, 1, 8, 8)
    share = test.labels.bincount() / (test.labels.bincount() + train.labels.bincount())
    assert ((share > 0.19) & (share < 0.21)).all()
    as_rows = torch.cat([train.images, test.images]).flatten(1)
    assert len(as_rows.unique(dim=0)) == 1797


def test_statistics_are_those_of_the_training_images():
    pixels = digits.read(None, train=True).images.double() / 255
    assert abs(pixels.mean() - digits.MEAN) < 1e-4
    assert abs(pixels.std(correction=0) - digits.STD) < 1e-4


def test_split_does_not_depend_on_the_seed(open_split):
    labels = [
        torch.cat([y for _, y in open_split("digits", part="test", seed=seed).epoch(0)]) for seed in (0, 1)
    ]
    assert torch.equal(*labels)


def test_batches(open_split):
    data = open_split("digits", batch_size=64)
    assert (data.num_samples, data.num_batches) == (1437, 22)
    assert data.class_names == list("0123456789")
    images, labels = next(data.epoch(0))
    assert images.shape == (64, 3, 32, 32)
    assert labels.shape == (64,)
    assert json.loads(json.dumps(data.preprocessing)) == data.preprocessing
    assert data.preprocessing["mean"] == [digits.MEAN] * 3
    assert data.preprocessing["size"] == 32


def test_digits_are_never_mirrored():
    assert not digits.read(None, train=True).flip


def test_wrong_number_of_classes(open_split):
    message = "has 10 classes but model.num_classes is 100; set model.num_classes to 10"
    with pytest.raises(InputError, match=message):
        open_split("digits", num_classes=100)


def test_torchvision_and_sklearn_are_imported_only_when_needed():
    code = "import sys, dnw_graph.data; assert not {'torchvision', 'sklearn', 'PIL'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
