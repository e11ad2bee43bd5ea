"""The processes of one training run: one, or several started by torchrun."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from dnw_graph.errors import InputError

# How gloo, nccl and torch's store word that a peer is gone.
_LOST = re.compile(
    r"gloo|nccl|[Cc]onnection (closed|reset|refused)|[Bb]roken pipe|Socket Timeout|DistStore|TCPStore"
)


@dataclass(frozen=True)
class World:
    """This process among its peers. Every method is a collective: all ranks call it, in the same order."""

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """The JSON-able `value` of every rank, in rank order, on every rank."""
        if self.size == 1:
            return [value]
        text = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        dist.all_gather(lengths, torch.tensor([len(text)]))
        longest = int(max(lengths))
        texts = [torch.zeros(longest, dtype=torch.uint8) for _ in range(self.size)]
        dist.all_gather(texts, torch.nn.functional.pad(text, (0, longest - len(text))))
        return [
            json.loads(bytes(each[: int(length)].tolist()))
            for each, length in zip(texts, lengths, strict=True)
        ]

    def decide(self, function: Callable[[], Any]) -> Any:
        """Call `function` on rank 0 and give its JSON-able result, or its InputError, to all ranks."""
        outcome: dict[str, Any] = {}
        if self.is_main:
            try:
                outcome = {"value": function()}
            except InputError as error:
                if self.size == 1:
                    raise
                outcome = {"error": str(error)}
        outcome = self.gather(outcome)[0]
        if "error" in outcome:
            raise InputError(outcome["error"])
        return outcome["value"]

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on any rank. Host memory only: no device waits."""
        if self.size == 1:
            return flag
        flags = torch.tensor([int(flag)])
        dist.all_reduce(flags, dist.ReduceOp.MAX)
        return bool(flags)

    def total(self, values: Tensor) -> Tensor:
        """Sum over all ranks; the argument is left alone."""
        values = values.clone()
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def share_statistics(self, model: nn.Module) -> None:
        """Give all ranks rank 0's running statistics, which are what is saved and evaluated."""
        if self.size > 1:
            for buffer in model.buffers():
                if buffer.is_floating_point():
                    dist.broadcast(buffer, 0)

    def check_wirings(self, wirings: Mapping[str, Tensor], step: int) -> None:
        """Raise InputError unless every rank selected the same edges (compared by a 64-bit sum)."""
        if self.size == 1:
            return
        stages = self.gather({name: fingerprint(ids) for name, ids in wirings.items()})
        for name, expected in stages[0].items():
            for rank, stage in enumerate(stages):
                if stage.get(name) != expected:
                    raise InputError(
                        f"step {step}: the wiring of {name} on rank {rank} differs from rank 0's; a rule "
                        "must choose the same edges from the same weights and step on every rank"
                    )


@contextmanager
def join(device: str) -> Iterator[World]:
    """The world that torchrun made, or a world of one; left cleanly at the end.

    device  training.device: auto, cpu or cuda
    Raises InputError when cuda is asked for and there is none.
    """
    size = int(os.environ["WORLD_SIZE"]) if dist.is_torchelastic_launched() else 1
    rank = int(os.environ["RANK"]) if size > 1 else 0
    local_rank = int(os.environ["LOCAL_RANK"]) if size > 1 else 0
    where = choose_device(device, local_rank)
    if size == 1:
        yield World(0, 1, where)
        return
    try:
        # Host tensors always travel by gloo, so that small decisions never wait for the device.
        dist.init_process_group("cpu:gloo,cuda:nccl" if where.type == "cuda" else "gloo")
        yield World(rank, size, where)
    except RuntimeError as error:
        # Not left cleanly: the others are gone, and leaving waits for them.
        if not _LOST.search(str(error)):
            _leave()
            raise
        raise InputError(
            f"another process of this run ended, so this one (rank {rank} of {size}) stopped too; that "
            "process or the system's log tells why; --resume auto goes on from the last checkpoint."
        ) from None
    except BaseException:
        _leave()
        raise
    dist.destroy_process_group()


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def choose_device(device: str, local_rank: int = 0) -> torch.device:
    """training.device → the device of this process. Raises InputError when there is no such device."""
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "cpu" or (device == "auto" and not found):
        return torch.device("cpu")
    if not found:
        raise InputError(
            f"training.device {device}: torch finds no CUDA device; set it to cpu (dnw-graph info says why)"
        )
    if local_rank >= found:
        raise InputError(
            f"training.device {device}: process {local_rank + 1} of this machine needs a CUDA device of its "
            f"own, and torch finds {found}; start fewer processes or set it to cpu"
        )
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def fingerprint(ids: Tensor) -> int:
    """A 64-bit number that depends on every id and its position. ids [k] int64 → int."""
    ids = ids.detach().to(torch.int64)
    odd = 2 * torch.arange(len(ids), device=ids.device) + 1
    return int(((ids + 1) * odd * 2654435761).sum())
