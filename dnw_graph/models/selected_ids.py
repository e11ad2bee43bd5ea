"""What a rule returned: whether it is a wiring, and what it changes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from dnw_graph.errors import InputError
from dnw_graph.message_passing.stage_index import is_readable


def reads_at_once(device: torch.device) -> bool:
    """Whether the host reads a value of this device without waiting for work in progress."""
    return device.type == "cpu"


def is_transformed() -> bool:
    """Whether a transform of torch.func runs, which torch's own operators follow and custom ones do not."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def fault_of(ids: Tensor, candidates: int) -> str | None:
    """Why ids, whoever wrote them, are no wiring of so many candidates; None if they are one.

    Waits for the device. Of a tensor without values only what is known is looked at.
    """
    wanted = f"int64 ids [k], ascending, from 0 to {candidates - 1} wanted"
    if ids.dtype != torch.int64 or ids.dim() != 1:
        return f"it is {ids.dtype} {list(ids.shape)}; {wanted}"
    if not ids.numel() or not is_readable(ids):
        return None
    if bool((ids.diff() <= 0).any()):
        return f"its ids do not ascend; {wanted}"
    first, last = int(ids[0]), int(ids[-1])
    if first < 0 or last >= candidates:
        return f"it holds id {first if first < 0 else last}; {wanted}"
    return None


def checked(ids: Tensor, budget: int, candidates: int, rule: str, stage: str) -> tuple[Tensor, Tensor | None]:
    """(what a rule returned, as ascending ids; what is left to ask about it).

    rule, stage  as messages name them
    On a CPU every id is looked at, and the second is None. Elsewhere ids are brought into range and order,
    and the second, [] bool, tells whether one was out of range or came twice.
    Raises InputError for what is no wiring within the budget, as far as the host knows.
    """
    if not isinstance(ids, Tensor):
        raise InputError(
            f"{rule} returned {type(ids).__name__} for {stage}; a tensor of int64 ids [k] wanted"
        )
    if ids.dim() != 1 or ids.dtype != torch.int64:
        raise InputError(f"{rule} returned {ids.dtype} {list(ids.shape)} for {stage}; int64 ids [k] wanted")
    if ids.numel() > budget:
        raise InputError(f"{rule} selected {ids.numel()} edges of {stage}, whose budget is {budget}")
    if not ids.numel():
        return ids, None
    if not reads_at_once(ids.device):
        ids = ids.sort().values
        wrong = (ids[0] < 0) | (ids[-1] >= candidates) | (ids.diff() <= 0).any()
        return ids.clamp(0, candidates - 1), wrong
    if not _ascends(ids):
        ids = ids.sort().values
        if not _ascends(ids):
            raise InputError(f"{rule} selected an edge of {stage} twice; return each id once")
    first, last = int(ids[0]), int(ids[-1])
    if first < 0 or last >= candidates:
        wrong_id = first if first < 0 else last
        raise InputError(f"{rule} selected id {wrong_id} of {stage}; ids run from 0 to {candidates - 1}")
    return ids, None


def _ascends(ids: Tensor) -> bool:
    values = ids.numpy()
    return bool((values[1:] > values[:-1]).all())


def number_entered(before: Tensor, after: Tensor, candidates: int) -> int | Tensor:
    """How many ids of `after` are not in `before`; both ascending, on one device.

    A number where the host reads at once, else a tensor [] int64.
    """
    if not reads_at_once(after.device):
        if not before.numel():
            return after.numel()
        place = torch.searchsorted(before, after).clamp_(max=before.numel() - 1)
        return after.numel() - (before[place] == after).sum()
    # Fresh pages of zeros cost nothing where no id falls. Measured faster than a search or a merge.
    was_in = np.zeros(candidates, dtype=bool)
    was_in[before.numpy()] = True
    return after.numel() - int(np.count_nonzero(was_in[after.numpy()]))
