"""What is kept apart from the training images: every class alike, by seed, and nothing counted twice."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dnw_graph.data.held_out import held_out
from dnw_graph.errors import InputError

counts = st.lists(st.integers(1, 40), min_size=1, max_size=6)
shares = st.floats(0.001, 0.999)


def labels_of(sizes: list[int]) -> torch.Tensor:
    labels = torch.cat([torch.full((size,), label) for label, size in enumerate(sizes)])
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]


@given(sizes=counts, share=shares, seed=st.integers(0, 9))
def test_every_class_gives_its_share_at_least_one_and_never_all(sizes, share, seed):
    labels = labels_of([*sizes, 2])
    apart = held_out(labels, share, "validation", seed, "here")
    for label, size in enumerate([*sizes, 2]):
        expected = min(max(int(share * size + 0.5), 1), size - 1)
        assert int(apart[labels == label].sum()) == expected


def test_a_tenth_of_digits_is_a_tenth_of_each_digit():
    labels = labels_of([144] * 10)
    apart = held_out(labels, 0.1, "validation", 0, "here")
    assert torch.bincount(labels[apart]).tolist() == [14] * 10


def test_the_draw_follows_from_seed_and_part_alone():
    labels = labels_of([50, 50])
    drawn = {
        (part, seed): tuple(held_out(labels, 0.2, part, seed, "here").tolist())
        for part in ("validation", "test")
        for seed in range(3)
    }
    assert len(set(drawn.values())) == 6
    torch.manual_seed(5)
    assert tuple(held_out(labels, 0.2, "test", 1, "here").tolist()) == drawn["test", 1]


def test_nothing_to_spare_is_told():
    with pytest.raises(
        InputError, match=r"here: no class has an image to spare for the test part; .* set data\.test to 0"
    ):
        held_out(torch.arange(5), 0.5, "test", 0, "here")
