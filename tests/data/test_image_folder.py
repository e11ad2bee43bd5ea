"""Image folders: worker processes, reproducibility, conversions, and sentences for what is damaged."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dnw_graph.data.decode import decode
from dnw_graph.data.folder_parts import Images
from dnw_graph.data.image_folder import Decoded
from dnw_graph.data.resized_centre import cut_thin
from dnw_graph.data.workers import telling_of_dead_workers
from dnw_graph.errors import InputError


@pytest.fixture
def image_folder(tmp_path: Path) -> Path:
    """train/ with 6 and val/ with 2 JPEGs in each of cat, dog and owl, random in size and colour."""
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        for name in ("cat", "dog", "owl"):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(count):
                height, width = random.integers(30, 60, 2)
                pixels = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / part / name / f"{number}.JPEG")
    return tmp_path


@pytest.fixture
def open_folder(open_split, image_folder):
    def open_folder(**options):
        options = {"image_size": 16, "num_classes": 3, "workers": 0, **options}
        return open_split("image_folder", image_folder, **options)

    return open_folder


def equal(left, right):
    return len(left) == len(right) and all(
        torch.equal(a, b) and torch.equal(x, y) for (a, x), (b, y) in zip(left, right, strict=True)
    )


def test_batches(open_folder, image_folder):
    train, test = open_folder(), open_folder(part="validation")
    assert (train.num_samples, train.num_batches) == (18, 4)
    assert (test.num_samples, test.num_batches) == (6, 2)
    assert train.class_names == ["cat", "dog", "owl"]
    images, labels = next(train.epoch(0))
    assert images.shape == (4, 3, 16, 16)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert labels.dtype == torch.int64
    assert torch.cat([y for _, y in test.epoch(0)]).tolist() == [0, 0, 1, 1, 2, 2]
    assert train.source == str(image_folder / "train")


def test_imagenet_is_such_a_folder(open_split, image_folder):
    data = open_split("imagenet", image_folder, image_size=16, num_classes=3, workers=0)
    assert data.num_samples == 18


def test_preprocessing_scales_the_published_one(open_folder):
    description = open_folder(image_size=224, part="validation").preprocessing
    assert description["resize"] == {"shorter_side": 256, "interpolation": "bilinear", "antialias": True}
    assert description["centre_crop"] == description["size"] == 224
    assert json.loads(json.dumps(description)) == description
    assert open_folder(image_size=32).preprocessing["resize"]["shorter_side"] == 37


def test_evaluation_resizes_and_cuts_the_centre(open_folder, image_folder):
    path = image_folder / "val" / "cat" / "0.JPEG"
    Image.fromarray(np.tile(np.arange(80, dtype=np.uint8)[None, :, None] * 3, (40, 1, 3))).save(
        path, quality=100
    )
    images, _ = next(open_folder(part="validation").epoch(0))
    row = (images[0, 0, 8] * 0.229 + 0.485) * 255
    # 40 × 80 → 18 × 36, columns 10 … 25: centres at (10.5 … 25.5) · 80/36 − 0.5 of the ramp 3x.
    expected = ((torch.arange(16) + 10.5) * 80 / 36 - 0.5) * 3
    assert (row - expected).abs().max() < 3


def test_workers_change_nothing(open_folder):
    assert equal(list(open_folder(workers=2).epoch(1)), list(open_folder(workers=0).epoch(1)))


def test_spawned_workers(open_folder, monkeypatch):
    here = list(open_folder().epoch(0, first_batch=3))
    loader = torch.utils.data.DataLoader

    def spawning(*args, **options):
        return loader(*args, multiprocessing_context="spawn", **options)

    monkeypatch.setattr("dnw_graph.data.image_folder.DataLoader", spawning)
    assert equal(list(open_folder(workers=1).epoch(0, first_batch=3)), here)


@pytest.mark.parametrize("first", [0, 2, 4])
def test_resumed_epoch_has_the_same_bits(open_folder, first):
    data = open_folder()
    assert equal(list(data.epoch(3, first_batch=first)), list(data.epoch(3))[first:])


def test_ranks_together_see_what_one_process_sees(open_folder):
    (images, labels), *_ = open_folder(batch_size=8).epoch(0)
    parts = [next(open_folder(batch_size=4, rank=rank, world_size=2).epoch(0)) for rank in (0, 1)]
    for rank, (part, part_labels) in enumerate(parts):
        assert torch.equal(part, images[rank::2])
        assert torch.equal(part_labels, labels[rank::2])


@pytest.mark.parametrize("workers", [0, 1])
def test_global_random_state_is_neither_read_nor_changed(open_folder, workers):
    data = open_folder(workers=workers)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = list(data.epoch(0))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert equal(first, list(data.epoch(0)))


def test_epochs_and_seeds_differ(image_folder):
    def image(seed, epoch):
        files = [str(image_folder / "train" / "cat" / "0.JPEG")]
        images = Images(files, [0], ["/0.JPEG"], ["cat"], "here")
        return Decoded(images, 16, 18, crop=0.08, flip=True, seed=seed)[epoch, 0][0].numpy().tobytes()

    assert len({image(seed, epoch) for seed in range(3) for epoch in range(3)}) == 9


def test_without_augmentation_images_are_those_of_evaluation(open_folder, image_folder):
    shutil.rmtree(image_folder / "val")
    shutil.copytree(image_folder / "train", image_folder / "val")
    train = {
        tuple(x.flatten().tolist())
        for xs, _ in open_folder(augment=False, batch_size=18).epoch(0)
        for x in xs
    }
    test = {tuple(x.flatten().tolist()) for xs, _ in open_folder(part="validation").epoch(0) for x in xs}
    assert train == test


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_cmyk_jpegs_become_rgb(open_folder, image_folder, mode):
    path = image_folder / "val" / "cat" / "0.JPEG"
    Image.new("RGB", (40, 40), (90, 90, 90)).convert(mode).save(path, quality=100)
    images, _ = next(open_folder(part="validation").epoch(0))
    assert ((images[0] * torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) + torch.tensor(
        [0.485, 0.456, 0.406]).view(3, 1, 1)) * 255 - 90).abs().max() < 3  # fmt: skip


def test_alpha_is_dropped_and_small_images_are_enlarged(open_folder, image_folder):
    path = image_folder / "val" / "cat" / "0.png"
    Image.new("RGBA", (5, 5), (10, 20, 30, 0)).save(path)
    images, _ = next(open_folder(part="validation").epoch(0))
    assert images.shape == (4, 3, 16, 16)
    assert decode(str(path)).getpixel((0, 0)) == (10, 20, 30)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda content: content[:-100], "image file is truncated"),
        (lambda content: content[:100], "Truncated File Read"),
        (lambda content: b"hello", "not an image that Pillow knows"),
    ],
    ids=["cut at the end", "cut in the header", "no image"],
)
def test_damaged_image_is_named_by_the_main_process(open_folder, image_folder, workers, damage, reason):
    path = image_folder / "train" / "dog" / "3.JPEG"
    path.write_bytes(damage(path.read_bytes()))
    data = open_folder(workers=workers, batch_size=6)
    with pytest.raises(
        InputError, match=f"{path}: cannot be decoded .{reason}.*; replace or remove this file"
    ) as error:
        list(data.epoch(0))
    assert "\n" not in str(error.value)


def test_vanished_image(open_folder, image_folder):
    data = open_folder(part="validation")
    (image_folder / "val" / "owl" / "1.JPEG").unlink()
    with pytest.raises(
        InputError, match=r"owl/1.JPEG: cannot be decoded .No such file or directory.; replace"
    ):
        list(data.epoch(0))


def test_no_directory(open_split):
    with pytest.raises(InputError, match="no data directory given; name one with one folder per class"):
        open_split("image_folder", num_classes=3)


def test_missing_directory(open_split, tmp_path):
    # Folders are never downloaded, so nothing is said of that.
    with pytest.raises(
        InputError, match=rf"data.directory: {tmp_path}/typo does not exist; give an existing one$"
    ):
        open_split("image_folder", tmp_path / "typo", num_classes=3)


def test_missing_training_images(open_folder, image_folder):
    shutil.rmtree(image_folder / "train")
    with pytest.raises(InputError, match=f"{image_folder}/train: missing; put one folder per class there"):
        open_folder()


def test_evaluation_needs_no_training_images(open_folder, image_folder):
    shutil.rmtree(image_folder / "train")
    assert open_folder(part="validation").num_samples == 6


def test_unsorted_images(open_folder, image_folder):
    shutil.rmtree(image_folder / "val")
    (image_folder / "val").mkdir()
    with pytest.raises(InputError, match="val: has no class folders; sort the images"):
        open_folder()


def test_class_folder_with_no_image(open_folder, image_folder):
    folder = image_folder / "train" / "dog"
    for path in folder.iterdir():
        path.rename(path.with_suffix(".txt"))
    with pytest.raises(InputError, match=f"{folder}: a class folder with no image; add images or remove"):
        open_folder()


@pytest.mark.parametrize(("part", "other"), [("train", "val"), ("val", "train")])
def test_splits_with_other_classes(open_folder, image_folder, part, other):
    (image_folder / part / "emu").mkdir()
    message = f"{image_folder / part / 'emu'}: {image_folder / other} has no such class folder"
    with pytest.raises(InputError, match=message):
        open_folder()


def test_wrong_number_of_classes(open_folder):
    message = "train: has 3 classes but model.num_classes is 1000; set model.num_classes to 3"
    with pytest.raises(InputError, match=message):
        open_folder(num_classes=1000)


def test_fewer_images_than_a_batch(open_folder):
    with pytest.raises(InputError, match="train: the training set has 18 images, fewer than one batch of 64"):
        open_folder(batch_size=64)


def test_a_class_name_that_is_not_utf8_is_refused(open_folder, image_folder):
    for part in ("train", "val"):
        (image_folder / part / "cat").rename(os.fsdecode(os.fsencode(image_folder / part) + b"/caf\xe9"))
    with pytest.raises(InputError, match=r"the class name 'caf.udce9' is not UTF-8; rename it"):
        open_folder()


def test_a_file_name_that_is_not_utf8_is_an_image_like_any_other(open_folder, image_folder):
    path = image_folder / "val" / "cat"
    (path / "0.JPEG").rename(os.fsdecode(os.fsencode(path) + b"/caf\xe9.JPEG"))
    assert sum(len(labels) for _, labels in open_folder(part="validation").epoch(0)) == 6


@pytest.mark.parametrize("target", [".", "..", "../..", "../dog"])
def test_a_link_by_which_images_would_count_twice_is_refused(open_folder, image_folder, target):
    (image_folder / "train" / "cat" / "again").symlink_to(target)
    with pytest.raises(
        InputError, match=r"again.*: is the folder .* once more, by a link; remove|dog: is the"
    ):
        open_folder()


def test_links_to_classes_and_images_elsewhere_are_followed(open_folder, image_folder):
    before = list(open_folder(part="validation").epoch(0))
    store = image_folder / "store"
    (image_folder / "val").rename(store)
    (image_folder / "val").mkdir()
    for each in store.iterdir():
        (image_folder / "val" / each.name).symlink_to(each)
    assert equal(list(open_folder(part="validation").epoch(0)), before)


def test_a_folder_that_cannot_be_listed_is_named(open_folder, image_folder, monkeypatch):
    """Its images would be missing without a word. (Root may list everything: scandir is told to refuse.)"""
    original, closed = os.scandir, image_folder / "train" / "cat"

    def refuse(path):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(InputError, match=r"cat: cannot be read .Permission denied.; check its permissions"):
        open_folder()


@pytest.mark.parametrize("change", ["rename", "remove", "add", "swap"])
def test_a_fingerprint_tells_which_images_these_are(open_folder, image_folder, change):
    before, folder = open_folder().described(), image_folder / "train" / "cat"
    assert before == open_folder(batch_size=2, rank=1, world_size=2).described()
    if change == "rename":
        (folder / "0.JPEG").rename(folder / "9.JPEG")
    if change == "remove":
        (folder / "0.JPEG").unlink()
    if change == "add":
        shutil.copy(folder / "0.JPEG", folder / "9.JPEG")
    if change == "swap":
        (folder / "0.JPEG").rename(image_folder / "train" / "dog" / "9.JPEG")
    assert open_folder().described() != before


@pytest.mark.parametrize("size", [(1, 30_000), (30_000, 1), (3, 2000)])
def test_a_thin_image_costs_what_its_middle_costs(image_folder, size):
    """The same pixels as the whole resized, within rounding, where that is small enough to be tried."""
    path = str(image_folder / "thin.png")
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0]), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    images = Decoded(
        Images([path], [0], ["/thin.png"], ["cat"], "here"), 16, 18, crop=None, flip=True, seed=0
    )
    found, _ = images[0, 0]
    whole = Image.open(path).convert("RGB")
    longer = int(18 * max(size) / min(size))
    resized = whole.resize((18, longer) if size[0] < size[1] else (longer, 18), Image.Resampling.BILINEAR)
    left, top = ((side - 16) / 2 for side in resized.size)
    expected = np.asarray(resized.crop((round(left), round(top), round(left) + 16, round(top) + 16)))
    assert np.abs(found.numpy().transpose(1, 2, 0).astype(int) - expected).max() <= 12
    assert max(cut_thin(whole).size) <= 32 * min(size)


def test_a_worker_that_is_killed_is_told_in_a_sentence(open_folder):
    """Torch tells it from a signal handler, wherever the main process is."""
    with pytest.raises(
        InputError, match=r"a process that decodes images ended .DataLoader worker.*fewer data.workers"
    ):
        _kill_a_worker(open_folder)


def _kill_a_worker(open_folder) -> None:
    with telling_of_dead_workers():
        for _ in open_folder(workers=1, batch_size=2).epoch(0):
            for child in multiprocessing.active_children():
                child.kill()
                child.join()


def test_workers_live_from_epoch_to_epoch_and_say_nothing(open_folder, recwarn):
    """Also after an epoch that was left early, and more of them than there are CPUs."""
    data = open_folder(workers=64, batch_size=2)
    whole = [list(open_folder(workers=0, batch_size=2).epoch(epoch)) for epoch in range(2)]
    epoch = data.epoch(0)
    assert torch.equal(next(epoch)[0], whole[0][0][0])
    processes = {child.pid for child in multiprocessing.active_children()}
    assert len(processes) == 64
    epoch.close()
    for number in (1, 0):
        assert equal(list(data.epoch(number)), whole[number])
        assert {child.pid for child in multiprocessing.active_children()} == processes
    data.close()
    del epoch
    assert not multiprocessing.active_children()
    assert not recwarn.list


def test_two_epochs_at_once_are_never_mixed(open_folder):
    data = open_folder(workers=0)
    first = data.epoch(0)
    next(first)
    next(data.epoch(1))
    with pytest.raises(AssertionError, match="one epoch at a time"):
        next(first)


def test_a_crop_shows_as_much_as_is_said_and_mirrors_only_if_it_may(image_folder):
    """A ramp from black to white: the whole of it is seen, its bright end always on the right."""
    path = image_folder / "ramp.png"
    Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))).save(path)
    images = Images([str(path)], [0], ["/ramp.png"], ["cat"], "here")
    seen = Decoded(images, 16, 18, crop=0.9, flip=False, seed=0)
    for epoch in range(20):
        row = seen[epoch, 0][0][0, 8].int()
        assert row[-1] - row[0] > 180
