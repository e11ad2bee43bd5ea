"""Which samples each batch holds: laws of shuffling, resuming and sharing between ranks."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dnw_graph.data.batches import SampleOrder, Share, derived_seed
from dnw_graph.errors import InputError

sizes = {"num_samples": st.integers(1, 60), "batch_size": st.integers(1, 6), "world_size": st.integers(1, 4)}


def orders(num_samples, batch_size, world_size, train, seed=0):
    return [
        SampleOrder(num_samples, Share(batch_size, train, seed, rank, world_size), "here")
        for rank in range(world_size)
    ]


@given(**sizes, epoch=st.integers(0, 3))
def test_ranks_together_hold_the_batches_of_one_process(num_samples, batch_size, world_size, epoch):
    num_samples += batch_size * world_size
    ranks = orders(num_samples, batch_size, world_size, train=True)
    (single,) = orders(num_samples, batch_size * world_size, 1, train=True)
    assert {order.num_batches for order in ranks} == {single.num_batches}
    for whole, *parts in zip(single.batches(epoch), *(order.batches(epoch) for order in ranks), strict=True):
        assert {len(part) for part in parts} == {batch_size}
        assert sorted(torch.cat(parts).tolist()) == sorted(whole.tolist())


@given(**sizes)
def test_evaluation_sees_each_sample_once(num_samples, batch_size, world_size):
    ranks = orders(num_samples, batch_size, world_size, train=False)
    seen = [batch for order in ranks for batch in order.batches(0)]
    assert sorted(torch.cat(seen).tolist()) == list(range(num_samples))
    assert [order.num_batches for order in ranks] == [len(order.batches(0)) for order in ranks]


def test_evaluation_is_in_order():
    (order,) = orders(5, 2, 1, train=False)
    assert [batch.tolist() for batch in order.batches(3)] == [[0, 1], [2, 3], [4]]


def test_training_never_repeats_a_sample_within_an_epoch():
    (order,) = orders(23, 5, 1, train=True)
    seen = torch.cat(order.batches(0)).tolist()
    assert len(seen) == len(set(seen)) == 20


@given(first=st.integers(0, 5), train=st.booleans())
def test_resuming_skips_batches(first, train):
    (order,) = orders(22, 4, 1, train)
    resumed, whole = order.batches(7, first), order.batches(7)
    assert [batch.tolist() for batch in resumed] == [batch.tolist() for batch in whole[first:]]


def test_order_depends_on_seed_and_epoch():
    def first(seed, epoch):
        return tuple(orders(50, 50, 1, True, seed)[0].batches(epoch)[0].tolist())

    assert len({first(0, 0), first(0, 1), first(1, 0), first(1, 1)}) == 4
    assert first(1, 1) == first(1, 1)


def test_training_set_smaller_than_a_batch():
    message = (
        "here: the training set has 7 images, fewer than one batch of 8; set training.batch_size to at most 7"
    )
    with pytest.raises(InputError, match=message):
        orders(7, 4, 2, train=True)


def test_seeds_are_the_same_everywhere():
    assert derived_seed("order", 0, 0) == 8073061470549175911
    assert derived_seed("order", 1, 11) != derived_seed("order", 11, 1)
    assert 0 <= derived_seed("augment", 1, 2, 3) < 2**63
