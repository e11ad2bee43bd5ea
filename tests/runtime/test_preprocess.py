"""An image file becomes what evaluation in training made of it, with Pillow and NumPy alone."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dnw_graph.data.image_folder import MEAN, STD, Images
from dnw_graph.data.preprocessing import describe, fit_images, fitting, normalise
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
    return Preprocessing.of(json.loads(json.dumps(description))).network_input(image, "a.png")


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_images_of_a_folder(height, width, tmp_path):
    path = tmp_path / "a.png"
    Image.fromarray(pixels(height, width)).save(path)
    tensor, _ = Images([str(path)], [0], 32, 37, False, 0)[0, 0]
    expected = normalise(tensor[None], MEAN, STD).numpy()
    assert np.array_equal(prepared(FOLDER, Image.open(path)), expected)


@pytest.mark.parametrize(("height", "width"), SIZES[:4])
def test_images_of_a_set_that_is_resized(height, width):
    mean, std = (0.3, 0.4, 0.5), (0.2, 0.3, 0.25)
    description = describe(32, mean, std, **fitting(height, width, 32, "resize", "x"))
    image = pixels(height, width)
    stored = torch.from_numpy(image).permute(2, 0, 1)[None]
    expected = normalise(fit_images(stored, description), mean, std).numpy()
    found = prepared(description, Image.fromarray(image))
    # Sums in another order, so that a value in the middle may be rounded to the other side.
    assert np.abs(found - expected).max() <= 1.001 / 255 / 0.2
    assert np.mean(found != expected) < 0.01


def test_images_of_a_set_that_is_padded():
    description = describe(32, MEAN, STD, **fitting(28, 27, 32, "pad", "x"))
    image = pixels(28, 27)
    expected = normalise(fit_images(torch.from_numpy(image).permute(2, 0, 1)[None], description), MEAN, STD)
    assert np.array_equal(prepared(description, Image.fromarray(image)), expected.numpy())


@pytest.mark.parametrize("fit", [{}, {"pad": {"left": 2, "top": 2, "right": 2, "bottom": 2, "value": 0}}])
def test_another_size_than_is_ever_resized_is_refused(fit):
    inner = 28 if fit else 32
    with pytest.raises(InputError, match=rf"a.png: has 30×30 pixels, expected {inner}×{inner}"):
        prepared(describe(32, MEAN, STD, **fit), Image.fromarray(pixels(30, 30)))


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"size": "32"},
        {"mean": [0.1, 0.2]},
        {"std": [0.1, 0.0, 0.1]},
        {"resize": {"size": [1 << 15, 2], "interpolation": "bilinear"}},
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
