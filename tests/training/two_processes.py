"""What two processes of one world do together; run by torchrun, every assertion on both ranks."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[2])

import torch
from torch import nn

from dnw_graph.errors import InputError
from dnw_graph.training.distributed import World, join


def message_of(kind: type[Exception], function) -> str:
    try:
        function()
    except kind as error:
        return str(error)
    raise AssertionError(f"no {kind.__name__}")


def refuse():
    raise InputError("rank 0 says no")


def check(world: World) -> None:
    assert world.size == 2
    assert world.gather({"rank": world.rank, "long": "x" * 10 ** (world.rank + 1)}) == [
        {"rank": 0, "long": "x" * 10},
        {"rank": 1, "long": "x" * 100},
    ]

    assert world.decide(lambda: world.rank) == 0
    assert message_of(InputError, lambda: world.decide(refuse)) == "rank 0 says no"

    assert world.any(world.rank == 1)
    assert not world.any(False)

    mine = torch.tensor([1.0 + world.rank])
    assert world.total(mine).item() == 3.0
    assert mine.item() == 1.0 + world.rank

    norm = nn.BatchNorm1d(2)
    norm.running_mean.fill_(5.0 + world.rank)
    world.share_statistics(norm)
    assert norm.running_mean.tolist() == [5.0, 5.0]

    same, other = torch.tensor([1, 2, 3]), torch.tensor([1, 2, 3 + world.rank])
    world.check_wirings({"stage_0": same}, step=7)
    message = message_of(InputError, lambda: world.check_wirings({"stage_0": same, "head": other}, step=7))
    assert message.startswith("step 7: the wiring of head on rank 1 differs from rank 0's"), message


if __name__ == "__main__":
    with join("cpu") as together:
        check(together)
