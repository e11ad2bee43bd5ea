"""What happens to batches before they go to a GPU; nothing does before they go to a CPU."""

from __future__ import annotations

import pytest
import torch

from dnw_graph.training.transfer import ready_for


def batches(device="cpu"):
    return [(torch.full((2, 3), float(i), device=device), torch.tensor([i, i + 1])) for i in range(3)]


def test_for_a_cpu_they_stay_what_they_are():
    given = iter(batches())
    assert ready_for(torch.device("cpu"), given) is given


def test_for_a_gpu_they_are_pinned_one_by_one(monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    found = ready_for(torch.device("cuda"), iter(batches()))
    assert pinned == []
    images, labels = next(found)
    assert [tensor is each for tensor, each in zip(pinned, (images, labels), strict=True)] == [True, True]
    assert len(list(found)) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_a_gpu_fetches_them_by_itself():
    for images, labels in ready_for(torch.device("cuda"), iter(batches())):
        assert images.is_pinned()
        assert labels.is_pinned()
