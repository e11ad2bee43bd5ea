"""An image file becomes what evaluation in training made of it, with Pillow and NumPy alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dnw_graph.data.image_folder import MEAN, STD
from dnw_graph.data.preprocessing import describe
from dnw_graph.data.single_images import Preprocessing as InTorch
from dnw_graph.errors import InputError
from dnw_graph.native import library
from dnw_graph.runtime.document import decoded, encoded
from dnw_graph.runtime.network import Network
from dnw_graph.runtime.preprocess import Preprocessing

SIZES = [(8, 8), (28, 28), (32, 32), (50, 37), (33, 200), (2000, 40)]
FOLDER = describe(32, MEAN, STD, resize={"shorter_side": 37}, centre_crop=32)


def pixels(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def prepared(description, image):
    return Preprocessing.of(json.loads(json.dumps(description))).network_input(image)


def expected(description, image):
    """What a run's `preprocess` makes of it."""
    return InTorch(description)(image)[None].numpy()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_images_of_a_folder(height, width):
    image = Image.fromarray(pixels(height, width))
    assert np.array_equal(prepared(FOLDER, image), expected(FOLDER, image))


PADDED = {"left": 2, "top": 1, "right": 3, "bottom": 2, "value": 0}


@pytest.mark.parametrize(
    "fit", [{}, {"resize": {"size": [32, 32]}}, {"pad": PADDED}], ids=["stored", "resized", "padded"]
)
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_images_of_a_set_in_memory(fit, height, width):
    """Others than those of the set's own size are resized to it."""
    description = describe(32, (0.3, 0.4, 0.5), (0.2, 0.3, 0.25), **fit)
    image = Image.fromarray(pixels(height, width))
    found, wanted = prepared(description, image), expected(description, image)
    # Sums in another order, so that a value in the middle may be rounded to the other side.
    assert np.abs(found - wanted).max() <= 1.001 / 255 / 0.2
    assert np.mean(found != wanted) < 0.01


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"size": "32"},
        {"mean": [0.1, 0.2]},
        {"std": [0.1, 0.0, 0.1]},
        {"resize": {"size": [16, 32], "interpolation": "bilinear"}},
        {"resize": {"size": [32, 32], "interpolation": "bilinear"}, "pad": {**PADDED}},
        {"resize": None, "pad": dict.fromkeys(PADDED, 16)},
        {"resize": {"size": [32, 32], "interpolation": "bicubic"}},
        {"resize": [32]},
        {"pad": {"left": 1}},
        {"centre_crop": -1},
    ],
)
def test_a_description_that_is_none(change, documents):
    described = replace(documents["tiny"], preprocessing={**FOLDER, **change})
    with pytest.raises(InputError, match=r"^net\.dnw: .*; the file is damaged or no \.dnw file$"):
        decoded(encoded(described), "net.dnw")


@pytest.fixture
def network(documents, tmp_path):
    if (reason := library.reason()) is not None:
        pytest.skip(reason)
    described = replace(documents["tiny"], preprocessing=FOLDER, class_names=["cat", "dog", "eel"])
    (tmp_path / "net.dnw").write_bytes(encoded(described))
    return Network(tmp_path / "net.dnw", threads=1)


def test_predict_says_the_best_classes(network, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(pixels(40, 50)).save(path)
    logits = network(prepared(FOLDER, Image.open(path)))[0]
    weights = torch.softmax(torch.from_numpy(logits).double(), 0).tolist()
    expected = sorted(zip(["cat", "dog", "eel"], weights, strict=True), key=lambda each: -each[1])
    found = network.predict(str(path))
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [share for _, share in found] == pytest.approx([share for _, share in expected])
    assert network.predict(Image.open(path), top=1) == found[:1]


def test_a_file_that_is_no_image(network, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"a\.png: cannot be decoded \(not an image that Pillow knows\)"):
        network.predict(path)


def test_without_preprocessing_nothing_is_predicted(documents, tmp_path):
    (tmp_path / "net.dnw").write_bytes(encoded(documents["tiny"]))
    with pytest.raises(InputError, match="says nothing of preprocessing; call the network with an array"):
        Network(tmp_path / "net.dnw").predict(tmp_path / "a.png")
