"""Sets in memory: augmentation, resizing, padding, and independence of batch size, ranks and global state."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.data import arrays as arrays_module
from dnw_graph.data.arrays import ArrayBatches, ImageArrays, crop
from dnw_graph.data.batches import Share
from dnw_graph.errors import InputError


def image_arrays(count=12, side=8, channels=1, shift=4, flip=True):
    generator = torch.Generator().manual_seed(5)
    return ImageArrays(
        images=torch.randint(0, 256, (count, channels, side, side), generator=generator, dtype=torch.uint8),
        labels=torch.arange(count),
        class_names=[str(label) for label in range(count)],
        mean=(0.5, 0.25, 0.0),
        std=(0.5, 0.25, 1.0),
        shift=shift,
        flip=flip,
        source="here",
    )


def batches(
    arrays, batch_size=4, train=True, seed=0, rank=0, world_size=1, image_size=8, fit="resize", augment=True
):
    share = Share(batch_size, train, seed, rank, world_size)
    return ArrayBatches(arrays, share, image_size=image_size, fit=fit, augment=augment)


def by_label(parts):
    return {
        int(label): image for images, labels in parts for image, label in zip(images, labels, strict=True)
    }


@settings(max_examples=20, deadline=None)
@given(first=st.integers(0, 3), epoch=st.integers(0, 5), seed=st.integers(0, 2**31))
def test_resumed_epoch_has_the_same_bits(first, epoch, seed):
    data = batches(image_arrays(), seed=seed)
    whole, resumed = list(data.epoch(epoch)), list(data.epoch(epoch, first_batch=first))
    assert len(resumed) == len(whole) - first
    for (images, labels), (again, labels_again) in zip(whole[first:], resumed, strict=True):
        assert torch.equal(images, again)
        assert torch.equal(labels, labels_again)


@settings(max_examples=20, deadline=None)
@given(world_size=st.sampled_from([2, 3]), epoch=st.integers(0, 3))
def test_augmentation_depends_on_the_sample_not_on_the_rank(world_size, epoch):
    one = by_label(batches(image_arrays(), batch_size=12).epoch(epoch))
    ranks = [
        batches(image_arrays(), 12 // world_size, rank=r, world_size=world_size) for r in range(world_size)
    ]
    many = by_label(part for data in ranks for part in data.epoch(epoch))
    assert one.keys() == many.keys()
    assert all(torch.equal(one[label], many[label]) for label in one)


def test_global_random_state_is_neither_read_nor_changed():
    data = batches(image_arrays())
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = list(data.epoch(0))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(torch.equal(a[0], b[0]) for a, b in zip(first, data.epoch(0), strict=True))


def test_epochs_differ_in_crop():
    data = batches(image_arrays(), batch_size=12)
    (first, labels), (second, labels_second) = next(data.epoch(0)), next(data.epoch(1))
    assert not torch.equal(first[labels.argsort()], second[labels_second.argsort()])


def test_crop_shifts_and_fills_with_black():
    image = torch.arange(1, 10, dtype=torch.uint8).view(1, 1, 3, 3)
    cut = crop(image, 1, torch.tensor([2]), torch.tensor([0]))
    assert cut.view(3, 3).tolist() == [[0, 4, 5], [0, 7, 8], [0, 0, 0]]
    assert torch.equal(crop(image, 1, torch.tensor([1]), torch.tensor([1])), image)


def test_every_shift_happens_about_equally_often():
    """A single bright pixel in the middle shows the shift: 9 × 9 places, each about n/81 times."""
    arrays = image_arrays(count=8100, side=32, flip=False)
    arrays.images.zero_()
    arrays.images[:, :, 16, 16] = 255
    images, _ = next(batches(arrays, batch_size=8100, image_size=32).epoch(0))
    place = images[:, 0].flatten(1).argmax(1)
    assert set((place // 32).tolist()) == set((place % 32).tolist()) == set(range(12, 21))
    count = place.bincount()
    assert (count > 0).sum() == 81
    assert count[count > 0].min() > 50
    assert count.max() < 160


def test_about_half_of_the_images_are_mirrored():
    arrays = image_arrays(count=1000, shift=0)
    images, _labels = next(batches(arrays, batch_size=1000).epoch(0))
    plain = next(batches(arrays, batch_size=1000, augment=False).epoch(0))[0]
    same = (images == plain).flatten(1).all(1)
    mirrored = (images == plain.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 440 < mirrored.sum() < 560


def test_without_augmentation_training_images_are_those_of_evaluation():
    train = by_label(batches(image_arrays(), augment=False).epoch(0))
    test = by_label(batches(image_arrays(), train=False).epoch(0))
    assert all(torch.equal(train[label], test[label]) for label in test)


def test_normalised_and_grey_repeated():
    arrays = image_arrays(count=1)
    arrays.images.fill_(255)
    images, labels = next(batches(arrays, train=False).epoch(0))
    assert images.shape == (1, 3, 8, 8)
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert labels.dtype == torch.int64
    # Grey images take the first channel's mean and deviation.
    assert torch.equal(images, torch.ones(1, 3, 8, 8))


def test_colours_keep_their_order():
    arrays = image_arrays(count=1, channels=3)
    arrays.images.fill_(255)
    images, _ = next(batches(arrays, train=False).epoch(0))
    assert images[0, :, 0, 0].tolist() == [1.0, 3.0, 1.0]


def test_padding_puts_the_odd_pixel_right_and_below():
    data = batches(image_arrays(count=1), train=False, image_size=11, fit="pad")
    images, _ = next(data.epoch(0))
    assert data.preprocessing["pad"] == {"left": 1, "top": 1, "right": 2, "bottom": 2, "value": 0}
    black = (0 - 0.5) / 0.5
    assert (images[:, :, 0] == black).all()
    assert (images[:, :, 9:] == black).all()
    inside, _ = next(batches(image_arrays(count=1), train=False).epoch(0))
    assert torch.equal(images[:, :, 1:9, 1:9], inside)


def test_padding_cannot_shrink():
    message = "here: images of 8×8 pixels cannot be padded to 6×6; set data.fit to resize"
    with pytest.raises(InputError, match=message):
        batches(image_arrays(), image_size=6, fit="pad")


def test_resizing_keeps_a_ramp_and_its_ends():
    arrays = image_arrays(count=1, side=4)
    arrays.images.copy_(torch.tensor([0, 80, 160, 240]).expand(1, 1, 4, 4))
    data = batches(arrays, train=False, image_size=8)
    row = (next(data.epoch(0))[0][0, 0, 3] * 0.5 + 0.5) * 255
    assert row.round().tolist() == [0, 20, 60, 100, 140, 180, 220, 240]
    assert data.preprocessing["resize"] == {"size": [8, 8], "interpolation": "bilinear", "antialias": True}


def test_sets_too_large_to_keep_resized_give_the_same_images(monkeypatch):
    kept = list(batches(image_arrays(), image_size=16).epoch(2))
    monkeypatch.setattr(arrays_module, "RESIDENT_BYTES", 0)
    resized_per_batch = list(batches(image_arrays(), image_size=16).epoch(2))
    for (images, _), (again, _) in zip(kept, resized_per_batch, strict=True):
        assert torch.equal(images, again)


@pytest.mark.parametrize("change", ["pixel", "label", "order", "number"])
def test_a_fingerprint_tells_which_images_these_are(change):
    arrays = image_arrays()
    before = batches(arrays).described()
    assert batches(arrays, batch_size=2, rank=1, world_size=2, seed=3).described() == before
    images, labels = arrays.images.clone(), arrays.labels.clone()
    if change == "pixel":
        images[3, 0, 2, 2] ^= 1
    if change == "label":
        labels[3] = 4
    if change == "order":
        images, labels = images.flip(0), labels.flip(0)
    if change == "number":
        images, labels = images[:-1], labels[:-1]
    assert batches(replace(arrays, images=images, labels=labels)).described() != before


def test_a_class_name_that_no_file_can_hold_is_refused():
    with pytest.raises(InputError, match="is not UTF-8; rename it"):
        batches(replace(image_arrays(), class_names=["\udce9"]))
