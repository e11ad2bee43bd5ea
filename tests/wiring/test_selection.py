"""The exact top k."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dnw_graph.wiring import selection, strongest
from dnw_graph.wiring.selection_on_device import strongest_on_device

SIZE = 300_000  # beyond the length from which on a sample is taken
FRACTIONS = (0.001, 0.05, 0.5, 0.999)


def by_full_sort(score: torch.Tensor, k: int) -> torch.Tensor:
    """A stable sort puts the lowest id first among equals."""
    return score.abs().sort(descending=True, stable=True).indices[:k].sort().values


few_values = st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, float("inf"), float("-inf")])


@given(st.lists(few_values, min_size=1, max_size=30), st.data())
@settings(max_examples=200, deadline=None)
def test_equals_a_full_sort_with_ties_zeros_and_infinities(values, data):
    k = data.draw(st.integers(0, len(values)))
    score = torch.tensor(values)
    assert torch.equal(strongest(score, k), by_full_sort(score, k))


@given(st.integers(0, 2**32 - 1), st.integers(0, 200))
@settings(max_examples=50, deadline=None)
def test_equals_a_full_sort_of_random_values(seed, k):
    score = torch.randn(200, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert torch.equal(strongest(score, k), by_full_sort(score, k))


def test_negative_weights_count_by_magnitude_and_the_lowest_id_wins_a_tie():
    assert strongest(torch.tensor([1.0, -3.0, 2.0, -2.0, 2.0]), 2).tolist() == [1, 2]
    assert strongest(torch.zeros(5), 3).tolist() == [0, 1, 2]


def noise() -> torch.Tensor:
    return torch.randn(SIZE, generator=torch.Generator().manual_seed(1))


def periodic() -> torch.Tensor:
    """Exactly the positions that a strided sample sees are weak."""
    stride = SIZE // selection._SAMPLE
    score = noise().abs() + 10
    score[::stride] = torch.rand(len(score[::stride]), generator=torch.Generator().manual_seed(2))
    return score


def periodic_strong() -> torch.Tensor:
    """Exactly the positions that a strided sample sees are strong."""
    stride = SIZE // selection._SAMPLE
    score = noise()
    score[::stride] += 100
    return score


def heavy_tails() -> torch.Tensor:
    score = noise()
    score[::1000] = float("inf")
    score[1::1000] = -float("inf")
    return 1 / score


ADVERSARIES = {
    "normal": noise,
    "all equal": lambda: torch.ones(SIZE),
    "all zero": lambda: torch.zeros(SIZE),
    "two values": lambda: (noise() > 1).float() - 2,
    "ascending": lambda: torch.arange(SIZE, dtype=torch.float32),
    "descending": lambda: -torch.arange(SIZE, dtype=torch.float32).flip(0),
    "mostly zero": lambda: noise() * (noise().roll(1) > 2),
    "periodic, weak": periodic,
    "periodic, strong": periodic_strong,
    "infinities": heavy_tails,
}


@pytest.mark.parametrize("name", ADVERSARIES)
def test_equals_a_full_sort_of_a_long_vector(name):
    score = ADVERSARIES[name]()
    assert SIZE > 4 * selection._SAMPLE
    for fraction in FRACTIONS:
        k = int(SIZE * fraction)
        assert torch.equal(strongest(score, k), by_full_sort(score, k)), (name, k)
    for k in (0, 1, SIZE - 1, SIZE):
        assert torch.equal(strongest(score, k), by_full_sort(score, k)), (name, k)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_works_in_every_float(dtype):
    score = noise().to(dtype)
    assert torch.equal(strongest(score, 30_000), by_full_sort(score, 30_000))


@pytest.mark.parametrize("k", [-1, 4])
def test_more_or_fewer_than_there_are_is_refused(k):
    with pytest.raises(ValueError, match=f"cannot choose {k} of 3 candidates"):
        strongest(torch.ones(3), k)


def test_a_parameter_may_be_given_as_it_is():
    weight = torch.nn.Parameter(torch.tensor([1.0, 3.0, 2.0]))
    assert strongest(weight, 1).tolist() == [1]


steps = st.sampled_from(["same", "small", "scaled", "reversed", "zero", "infinite", "tied", "nan"])


def moved(score: torch.Tensor, how: str, seed: int) -> torch.Tensor:
    """The scores of the next step."""
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(len(score), generator=generator)
    return {
        "same": score,
        "small": score + 1e-3 * (draw - 0.5),
        "scaled": score * (draw[0] * 1e3 + 1e-3),
        "reversed": 1 / score,
        "zero": torch.zeros_like(score),
        "infinite": score.masked_fill(draw < 0.3, -torch.inf),
        "tied": (4 * score.nan_to_num(posinf=3.0, neginf=-3.0)).round() / 4,
        "nan": score.masked_fill(draw < 0.3, torch.nan),
    }[how]


@given(st.integers(0, 2**32 - 1), st.integers(0, 200), st.lists(st.tuples(steps, st.booleans()), max_size=8))
@settings(max_examples=150, deadline=None)
def test_a_remembered_threshold_changes_nothing_however_far_scores_jump(seed, k, course):
    score = torch.randn(200, generator=torch.Generator().manual_seed(seed))
    last = selection.Threshold()
    for number, (how, from_new) in enumerate(course):
        other = torch.randn(200, generator=torch.Generator().manual_seed(number))
        score = moved(other if from_new else score, how, seed + number)
        expected = by_full_sort(score.nan_to_num(nan=0.0, posinf=torch.inf, neginf=-torch.inf), k)
        assert torch.equal(strongest(score, k, last), expected)
        assert torch.equal(strongest(score, k), expected)


@pytest.mark.parametrize("start", ADVERSARIES)
def test_a_threshold_of_other_scores_changes_nothing(start):
    """Long vectors, each cut from where another one was."""
    for name, make in ADVERSARIES.items():
        last, score = selection.Threshold(), make()
        strongest(ADVERSARIES[start](), 30_000, last)
        assert torch.equal(strongest(score, 30_000, last), by_full_sort(score, 30_000)), name


def test_a_small_step_orders_little(monkeypatch):
    """Scores that moved by 1e-4 are looked at once, and a band of them is ordered."""
    score, last = noise(), selection.Threshold()
    strongest(score, 30_000, last)
    passes, ordered = [], []
    reaching, partition = selection._reaching, selection.np.partition
    monkeypatch.setattr(selection, "_reaching", lambda *args: passes.append(1) or reaching(*args))
    monkeypatch.setattr(
        selection.np, "partition", lambda *args: ordered.append(len(args[0])) or partition(*args)
    )
    strongest(score * 1.0001, 30_000, last)
    assert len(passes) == 1
    assert sum(ordered) < 5_000


def test_the_threshold_is_the_smallest_score_that_was_chosen():
    last = selection.Threshold()
    strongest(torch.tensor([1.0, -3.0, 2.0, -2.5]), 2, last)
    assert last.value == 2.5


@given(st.lists(st.one_of(few_values, st.just(float("nan"))), min_size=2, max_size=40), st.data())
@settings(max_examples=200, deadline=None)
def test_the_way_without_a_waiting_host_gives_the_same_ids(values, data):
    k = data.draw(st.integers(1, len(values) - 1))
    score = torch.tensor(values)
    assert torch.equal(strongest_on_device(score, k), strongest(score, k))


@pytest.mark.parametrize("name", ADVERSARIES)
def test_the_way_without_a_waiting_host_gives_the_same_ids_of_a_long_vector(name):
    score = ADVERSARIES[name]()
    for dtype in (torch.float32, torch.bfloat16):
        assert torch.equal(strongest_on_device(score.to(dtype), 20_000), strongest(score.to(dtype), 20_000))
