"""A trained network in use: what `load_run` gives, and what it predicts."""

from __future__ import annotations

import json
import re
import shutil
from itertools import repeat

import numpy as np
import pytest
import torch
from PIL import Image

import dnw_graph as dg
from dnw_graph.data import digits
from dnw_graph.data.decode import Unreadable
from dnw_graph.errors import InputError
from dnw_graph.inference import CompiledNetwork


@pytest.fixture(scope="module")
def pixels() -> list[np.ndarray]:
    """Digits of the test as they are stored, uint8 [8, 8]."""
    return [image[0].numpy() for image in digits.read(None, False).images[:40]]


@pytest.fixture(scope="module")
def run(small_run):
    return dg.load_run(small_run)


def test_a_run_has_all_that_its_use_needs(run, small_run):
    assert run.path == small_run.resolve()
    assert run.config == dg.load_config(small_run / "config.yaml")
    assert not run.model.training
    assert run.class_names == [str(digit) for digit in range(10)]
    assert run.preprocess.size == 32
    assert [record["epoch"] for record in run.metrics] == [1]
    assert isinstance(run.compiled, CompiledNetwork)
    assert run.compiled is run.compiled, "the compiled network is made again"


def test_predictions_are_the_softmax_of_the_networks_logits(run, pixels):
    """By the network itself, image by image; the run takes them in batches through the compiled one."""
    found = run.predict(pixels, top=None, batch_size=7)
    with torch.no_grad():
        expected = run.model(run.preprocess(pixels)).softmax(dim=1)
    assert [each.image for each in found] == [f"image {number}" for number in range(40)]
    for prediction, row in zip(found, expected, strict=True):
        assert [name for name, _ in prediction.top] == [
            run.class_names[each] for each in row.argsort(descending=True, stable=True)
        ]
        torch.testing.assert_close(
            torch.tensor([p for _, p in prediction.top]),
            row.sort(descending=True).values,
            rtol=1e-3,
            atol=1e-5,
        )
        assert prediction.label == row.argmax()
        assert prediction.class_name == run.class_names[prediction.label]
        assert prediction.probability == max(probability for _, probability in prediction.top)


def test_top_says_how_many_classes(run, pixels):
    assert [len(run.predict(pixels[0], top=top).top) for top in (1, 3, 10, 99, None)] == [1, 3, 10, 10, 10]
    assert run.predict(pixels[0], top=1).top == run.predict(pixels[0], top=None).top[:1]


def test_one_image_gives_one_prediction_and_several_a_list(run, pixels, tmp_path):
    Image.fromarray(pixels[0]).save(tmp_path / "a.png")
    one = run.predict(tmp_path / "a.png")
    assert one.image == str(tmp_path / "a.png")
    for several in (
        [tmp_path / "a.png"],
        (pixels[0],),
        iter([Image.fromarray(pixels[0])]),
        np.stack(pixels[:1])[..., None],
        torch.from_numpy(pixels[0])[None, None],
        run.preprocess([pixels[0]]),
    ):
        (found,) = run.predict(several)
        assert (found.label, found.top) == (one.label, one.top)
    assert run.predict([]) == []


def test_a_prediction_is_a_short_record(run, pixels):
    found = run.predict(pixels[0], top=2)
    (first, one), (second, other) = found.top
    assert repr(found) == f"<image: {first} {one:.1%}, {second} {other:.1%}>"
    assert json.loads(json.dumps(found.as_dict())) == {
        "image": "image",
        "class": first,
        "label": found.label,
        "probability": one,
        "top": [{"class": first, "probability": one}, {"class": second, "probability": other}],
    }


def test_no_more_than_a_batch_is_taken_ahead(run, pixels):
    """So that memory is bounded, whatever the number of images."""
    taken = 0

    def endless():
        nonlocal taken
        for image in repeat(pixels[0]):
            taken += 1
            yield None, image

    stream = run.predict_each(endless(), batch_size=4)
    assert taken == 0
    for count in range(1, 10):
        next(stream)
        assert taken == 4 * -(-count // 4)


def test_what_cannot_be_read_stands_in_its_place_or_is_raised(run, pixels):
    pairs = [(None, pixels[0]), ("second", b"x"), (None, pixels[1])]
    first, second, third = run.predict_each(iter(pairs), batch_size=2)
    assert second == Unreadable("second", "cannot be decoded (not an image that Pillow knows)")
    assert (first.label, third.label) == tuple(each.label for each in run.predict(pixels[:2]))
    with pytest.raises(InputError, match=r"^image 1: cannot be decoded .*; give another file$"):
        run.predict([pixels[0], b"x"])


def test_a_run_shows_itself_in_a_few_lines(run):
    lines = repr(run).splitlines()
    assert lines[0] == f"Run {run.path}"
    assert "  network     tiny_static, rule top_k, 32 pixels" in lines
    assert "  data        digits: 0, 1, 2, 3, 4, … (10 in all)" in lines
    assert re.search(r"^  trained     1 epoch, \d\d steps$", repr(run), flags=re.MULTILINE)
    assert len(lines) < 7
    assert run._repr_html_().startswith("<p><b>Run ")


def test_dense_networks_predict_too(small, tmp_path, pixels):
    path = small.train_small_run(
        tmp_path / "run", "training.batch_size=512", network="mobilenet_v1_dense", multiplier=0.25
    )
    run = dg.load_run(path)
    assert run.compiled is run.model
    with torch.no_grad():
        expected = run.model(run.preprocess(pixels[:3])).argmax(1).tolist()
    assert [each.label for each in run.predict(pixels[:3])] == expected


def changed(run_path, place, **changes):
    """A copy of a run with other facts in state.json, of version 1, which had no checksum of it."""
    shutil.copytree(run_path, place)
    state = json.loads((place / "checkpoints/best/state.json").read_text()) | {"version": 1} | changes
    (place / "checkpoints/best/state.json").write_text(json.dumps(state))
    (place / "checkpoints/best/state.json.sha256").unlink()
    return dg.load_run(place)


def test_without_names_classes_are_numbers(small_run, tmp_path, pixels):
    run = changed(small_run, tmp_path / "run", class_names=None)
    assert run.class_names == [str(each) for each in range(10)]
    with pytest.raises(InputError, match=r"names 2 classes, and the network has 10; "):
        changed(small_run, tmp_path / "two", class_names=["a", "b"]).predict(pixels[0])


def test_a_run_that_does_not_say_how_images_are_prepared_says_what_else_goes(small_run, tmp_path, pixels):
    run = changed(small_run, tmp_path / "run", preprocessing=None)
    with pytest.raises(InputError, match=r"does not say how images are prepared.*run\.compiled\(images\)"):
        run.predict(pixels[0])
    assert run.compiled(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    with pytest.raises(InputError, match=r"state\.json: preprocessing\.channels is not"):
        _ = changed(small_run, tmp_path / "odd", preprocessing={"size": "x"}).preprocess


def test_an_imported_imagenet_network_is_prepared_like_every_folder(small, tmp_path):
    from dnw_graph.config import config_from_dict
    from dnw_graph.data.single_images import folder_preprocessing
    from dnw_graph.training.adopt import adopt

    model = {"network": "mobilenet_v1", "density": 0.5, "image_size": 32, "num_classes": 3}
    model["options"] = {"blocks": [[4, 6, 1, 1]]}
    training = {"epochs": 1, "batch_size": 2}
    cfg = config_from_dict({"model": model, "data": {"dataset": "image_folder"}, "training": training})
    run = dg.load_run(adopt(cfg, dg.build_model(cfg), tmp_path / "run"))
    assert run.preprocess.description == folder_preprocessing(32)
    assert run.predict(np.zeros((40, 50, 3), np.uint8)).class_name in ("0", "1", "2")


def test_a_network_that_diverged_predicts_nothing(run, small_run, pixels):
    broken = dg.load_run(small_run)
    with torch.no_grad():
        broken.model.head.linear.bias[0] = float("nan")
    with pytest.raises(InputError, match="logits are not finite: its training diverged"):
        broken.predict(pixels[0])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"top": 0}, "top 0 is out of range; give a whole number from 1 on"),
        ({"top": "3"}, "top '3' is a str; give a whole number from 1 on"),
        ({"batch_size": 0}, "batch_size 0 is out of range"),
        ({"batch_size": None}, "batch_size None is a NoneType"),
    ],
)
def test_wrong_options_are_refused(run, pixels, options, sentence):
    with pytest.raises(InputError, match=sentence):
        run.predict(pixels[0], **options)
