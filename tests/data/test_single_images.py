"""A single image is prepared as evaluation prepares the images of its data set, bit for bit."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import torch
from PIL import Image

from dnw_graph.data import digits
from dnw_graph.data.decode import Unreadable, is_image
from dnw_graph.data.preprocessing import describe
from dnw_graph.data.single_images import Preprocessing, folder_preprocessing
from dnw_graph.errors import InputError

MEAN, STD = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
RESIZED = describe(32, MEAN, STD, resize={"size": [32, 32]})
PADDED = describe(32, MEAN, STD, pad={"left": 2, "top": 2, "right": 2, "bottom": 2, "value": 0})
PLAIN = describe(32, MEAN, STD)
CENTRE = folder_preprocessing(32)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


@pytest.mark.parametrize("fit", ["resize", "pad"])
def test_digits_are_prepared_as_in_evaluation(open_split, fit):
    split = open_split("digits", fit=fit, augment=False, batch_size=1437)
    stored, prepare = digits.read(None, True).images[:5], Preprocessing(split.preprocessing)
    images, _ = next(split.epoch(0))
    for image in stored:
        found = prepare(Image.fromarray(image[0].numpy()))
        assert any(torch.equal(found, each) for each in images), "no image of the data set is the same"
        assert torch.equal(found, prepare(image[0].numpy()))
        assert torch.equal(found, prepare(image))


def test_files_of_folders_are_prepared_as_in_evaluation(open_split, tmp_path, pixels):
    for part in ("train", "val"):
        for name, shift in (("cat", 0), ("dog", 9)):
            (tmp_path / part / name).mkdir(parents=True)
            Image.fromarray(np.roll(pixels, shift, axis=0)).save(tmp_path / part / name / "a.jpg")
    split = open_split(
        "image_folder", tmp_path, image_size=32, num_classes=2, batch_size=2, workers=0, augment=False
    )
    images, labels = next(split.epoch(0))
    files = [tmp_path / "train" / split.class_names[label] / "a.jpg" for label in labels]
    assert split.preprocessing == folder_preprocessing(32)
    assert torch.equal(Preprocessing(split.preprocessing)(files), images)


@pytest.mark.parametrize("description", [RESIZED, PADDED, PLAIN, CENTRE])
def test_every_kind_of_image_gives_the_same_bits(description, pixels, tmp_path):
    """A file, its bytes, a PIL image, an array and a tensor; with alpha, whose pixels count all the same."""
    Image.fromarray(pixels).save(tmp_path / "a.png")
    prepare = Preprocessing(description)
    expected = prepare(tmp_path / "a.png")
    assert (expected.shape, expected.dtype) == ((3, 32, 32), torch.float32)
    with_alpha = np.concatenate([pixels, pixels[..., :1]], axis=2)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    kinds = (str(tmp_path / "a.png"), (tmp_path / "a.png").read_bytes(), Image.fromarray(pixels), pixels)
    for image in (*kinds, tensor, with_alpha, Image.fromarray(with_alpha), expected, expected.double()):
        assert torch.equal(prepare(image), expected)
    assert torch.equal(prepare([pixels, tensor]), torch.stack([expected, expected]))
    assert torch.equal(prepare(np.stack([pixels, pixels])), torch.stack([expected, expected]))
    assert torch.equal(prepare(iter([pixels])), expected[None])
    assert prepare([]).shape == (0, 3, 32, 32)


@pytest.mark.parametrize("description", [RESIZED, PADDED, PLAIN, CENTRE])
def test_grey_images_are_repeated(description, pixels):
    prepare, grey = Preprocessing(description), pixels[..., 0]
    expected = prepare(np.stack([grey] * 3, axis=2))
    for image in (grey, grey[..., None], torch.from_numpy(grey)[None], Image.fromarray(grey)):
        assert torch.equal(prepare(image), expected)


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 3), (100, 100)])
@pytest.mark.parametrize("description", [RESIZED, PADDED, PLAIN, CENTRE])
def test_images_of_any_size_fit(description, size):
    assert Preprocessing(description)(np.zeros((*size, 3), dtype=np.uint8)).shape == (3, 32, 32)


def test_padding_leaves_the_border_black(pixels):
    found = Preprocessing(PADDED)(pixels[:28, :28])
    black = -torch.tensor(MEAN) / torch.tensor(STD)
    torch.testing.assert_close(found[:, 0], black[:, None].expand(3, 32))
    stored = torch.from_numpy(pixels[:28, :28]).permute(2, 0, 1) / 255
    scale = torch.tensor(STD)[:, None, None]
    torch.testing.assert_close(found[:, 2:30, 2:30], (stored - torch.tensor(MEAN)[:, None, None]) / scale)


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (np.zeros((4, 4)), r"image: is an array float64 \[4, 4\]; give a file's path, its bytes, "),
        (np.zeros((4, 4, 2), np.uint8), r"is an array uint8 \[4, 4, 2\]; give"),
        (np.zeros((0, 4, 3), np.uint8), r"has no pixels"),
        (torch.zeros(4, 4, dtype=torch.uint8), r"is a tensor uint8 \[4, 4\]; give"),
        (torch.zeros(3, 4, 4), r"has shape \[3, 4, 4\], .*as prepared, \[3, 32, 32\]; give pixels as uint8"),
        (torch.full((3, 32, 32), float("nan")), "holds NaN or infinity; give finite numbers"),
        (b"x", "not an image that Pillow knows"),
        ("nope.png", r"nope\.png: cannot be decoded \(No such file or directory\); give another file"),
        (os.fsdecode(b"caf\xe9.png"), "No such file"),
        ("a\0b", r"embedded null byte"),
        (os.curdir, "is a folder; give the images in it"),
        (
            Image.new("I;16", (4, 4)),
            "of kind I;16, expected at most 8 bits per channel; give another",
        ),
        (Image.new("F", (4, 4)), "pixels of kind F"),
        (None, "image is a NoneType; give a file's path"),
        ({"a": 1}, "image is a dict; give"),
        ([b"x"], r"image 0: cannot be decoded"),
        (["nope.png"], r"^nope\.png: cannot"),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(image, sentence):
    with pytest.raises(InputError, match=sentence):
        Preprocessing(RESIZED)(image)


def test_a_damaged_file_is_told_apart_from_a_whole_one(tmp_path, pixels):
    """`read` gives the reason instead of raising, for those who go on."""
    Image.fromarray(pixels).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    found = Preprocessing(RESIZED).read(whole[: len(whole) // 2], "half")
    assert isinstance(found, Unreadable)
    assert found.path == "half"


@pytest.mark.parametrize(
    "change",
    [
        {"size": "32"},
        {"size": 10**9},
        {"resize": {"size": [32]}},
        {"resize": {"shorter_side": 9, "interpolation": "nearest", "antialias": True}},
        {"pad": {"left": -1}},
        {"mean": [0.5]},
        {"std": [float("nan")] * 3},
        {"channels": "BGR"},
        {"colour": 1},
    ],
)
def test_a_description_that_is_none_is_refused(change):
    with pytest.raises(InputError, match=r"^state\.json: preprocessing\..* is not what this dnw-graph knows"):
        Preprocessing({**RESIZED, **change}, "state.json")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF"])
def test_image_files_are_known_by_their_beginning(format, pixels):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format=format)
    assert is_image(content.getvalue()[:16])


@pytest.mark.parametrize(
    "head", [b"", b"B", b"BMW/front.jpg\nBMW", b"P", b"P6.png\nb.png\n", b"RIFF.png", b"./a.png\n"]
)
def test_names_of_files_do_not_begin_like_images(head):
    assert not is_image(head[:16])


def test_a_preprocessing_shows_itself_in_a_few_lines():
    assert repr(Preprocessing(RESIZED)).startswith("Preprocessing to [3, 32, 32]\n  channels ")
    assert len(repr(Preprocessing(CENTRE)).splitlines()) < 10
