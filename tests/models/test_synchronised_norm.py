"""Batch statistics over several processes are those of the whole batch."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as processes
from torch import nn

from dnw_graph.models.node_operation import BatchNorm
from dnw_graph.models.synchronised_norm import SynchronisedBatchNorm, SynchronisedNodeNorm, synchronise

IMAGES = 6


def network() -> nn.ModuleDict:
    torch.manual_seed(1)
    norms = nn.ModuleDict({"plain": nn.BatchNorm2d(4), "node": BatchNorm(4)})
    for norm in norms.values():
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
    return norms.double()


def outcome(norms: nn.ModuleDict, x: torch.Tensor, scale: float) -> dict[str, torch.Tensor]:
    """Outputs, input gradients, parameter gradients and running statistics of one training step."""
    results = {}
    for name, norm in norms.items():
        given = (x if name == "plain" else x.transpose(0, 1).contiguous()).clone().requires_grad_()
        y = norm(given)
        (scale * (y**3).sum()).backward()
        flip = (lambda t: t) if name == "plain" else (lambda t: t.transpose(0, 1))
        results |= {f"{name}.y": flip(y.detach()), f"{name}.dx": flip(given.grad)}
        results |= {f"{name}.dw": norm.weight.grad, f"{name}.db": norm.bias.grad}
        results |= {f"{name}.mean": norm.running_mean, f"{name}.var": norm.running_var}
        results[f"{name}.seen"] = norm.num_batches_tracked
    return results


def images() -> torch.Tensor:
    return torch.randn(IMAGES, 4, 3, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def worker(rank: int, folder: str) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    norms = network()
    synchronise(norms)
    assert isinstance(norms["plain"], SynchronisedBatchNorm)
    assert isinstance(norms["node"], SynchronisedNodeNorm)
    # Shares of unequal size: statistics weigh images, not ranks.
    share = images()[:2] if rank == 0 else images()[2:]
    torch.save(outcome(norms, share, 1.0), Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def shares() -> list[dict[str, torch.Tensor]]:
    with tempfile.TemporaryDirectory() as folder:
        processes.spawn(worker, args=(folder,), nprocs=2)
        return [torch.load(Path(folder) / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


def test_two_ranks_compute_what_one_process_does(shares: list[dict[str, torch.Tensor]]) -> None:
    whole = outcome(network(), images(), 1.0)
    for name, expected in whole.items():
        first, second = shares[0][name], shares[1][name]
        if name.endswith((".y", ".dx")):
            found = torch.cat([first, second])
        elif name.endswith((".dw", ".db")):
            found = first + second
        else:
            torch.testing.assert_close(first, second)
            found = first
        torch.testing.assert_close(found, expected, msg=lambda text, name=name: f"{name}: {text}")


def test_parameters_keep_their_names_and_identity() -> None:
    norms = network()
    before = dict(norms.named_parameters())
    keys = list(norms.state_dict())
    synchronise(norms)
    assert {name: id(p) for name, p in norms.named_parameters()} == {
        name: id(p) for name, p in before.items()
    }
    assert list(norms.state_dict()) == keys


def test_half_floats_are_summed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """More pixels than the largest fp16 number, on one process."""
    monkeypatch.setattr("dnw_graph.models.synchronised_norm.dist.all_reduce", lambda tensor: None)
    x = 3 + torch.randn(2, 4, 200, 200)
    norm = SynchronisedBatchNorm(4)
    expected = nn.BatchNorm2d(4)(x)
    assert torch.allclose(norm(x.half()).float(), expected, atol=5e-3)
    assert norm(x.half()).dtype == torch.float16
    assert torch.isfinite(norm.running_var).all()
