"""Tensors of an official file, taken one by one, and the wiring that a rectangle of weights holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.graph.status import Flags
from dnw_graph.models.facts import ImportedStage
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.stage import WiredStage
from dnw_graph.wiring import strongest

# The 2019 program's word for its graph → our rule.
RULES = {
    "dnw": "top_k",
    "random": "random",
    "complete": "top_k",
    "dnw_no_update": "top_k_no_update",
    "fine_tune": "fixed_top_k",
}


class WrongNetworkError(InputError):
    """The file is sound, but holds another network than was asked for."""


class Tensors:
    """The file's tensors, taken one by one, each with the shape that the network wants."""

    def __init__(self, name: str, state: dict[str, Tensor]) -> None:
        self.name = name
        self.left = dict(state)

    def shape(self, key: str, rank: int | None = None) -> tuple[int, ...]:
        if key not in self.left:
            raise WrongNetworkError(
                f"{self.name}: has no tensor {key!r}; network, graph or small do not fit this file"
            )
        found = tuple(self.left[key].shape)
        if rank is not None and len(found) != rank:
            raise WrongNetworkError(f"{self.name}: {key} is {list(found)}, but {rank} dimensions are wanted")
        return found

    def take(self, key: str, shape: Sequence[int]) -> Tensor:
        found = self.shape(key)
        if found != tuple(shape):
            raise WrongNetworkError(
                f"{self.name}: {key} is {list(found)}, but this configuration wants {list(shape)}; "
                "choose the network, blocks, small and num_classes that the file was trained with"
            )
        return self.left.pop(key)

    def refuse_leftovers(self) -> None:
        if self.left:
            raise WrongNetworkError(
                f"{self.name}: tensor {next(iter(self.left))!r} has no place in this network; choose another"
            )

    def fill(self, module: nn.Module, key: str) -> None:
        """Copy a torch layer's parameters and buffers from `key.*`."""
        for leaf, mine in [*module.named_parameters(), *module.named_buffers()]:
            copy(mine, self.take(f"{key}.{leaf}", mine.shape))


def copy(mine: Tensor, theirs: Tensor) -> None:
    with torch.no_grad():
        mine.data = theirs.detach().clone().to(mine.device)


def agree(name: str, found: int, wanted: int | None) -> None:
    if wanted is not None and wanted != found:
        raise WrongNetworkError(
            f"{name}: its classifier has {found} classes, not {wanted}; leave num_classes out or correct it"
        )


def has_mask(graph: str, present: bool) -> bool:
    """Whether a file stores masks: random always; no_update's are all ones and never took effect; fine_tune's
    appear with the first use.
    """
    return graph in ("random", "dnw_no_update") or (graph == "fine_tune" and present)


@torch.no_grad()
def wire(
    model: WiredNetwork,
    wired: WiredStage,
    tensors: Tensors,
    key: str,
    shape: tuple[int, int],
    first_target: int,
    first_source: int,
    graph: str,
    pruned: int,
) -> Flags:
    """Fill a stage's parameter from a rectangle [targets, sources] and select what the file selects.

    Returns where the file's effective weight is not zero, [targets, sources] bool.

    Row 0 of the rectangle is node `first_target`, column 0 node `first_source`. In the tiny
    network a readout node's row is that of its twin.
    """
    rectangle = tensors.take(f"{key}.weight", (*shape, 1, 1)).detach().cpu().reshape(shape)
    chosen = torch.zeros(shape, dtype=torch.bool)
    mask = (
        tensors.take(f"{key}.mask", (*shape, 1, 1))
        if has_mask(graph, f"{key}.mask" in tensors.left)
        else None
    )
    if mask is not None and graph != "dnw_no_update":
        chosen[:] = mask.cpu().reshape(shape) != 0
    else:
        kept = shape[0] * shape[1] - (0 if graph == "complete" else pruned)
        chosen.view(-1)[strongest(rectangle.reshape(-1), kept)] = True
        if graph == "fine_tune":
            chosen &= rectangle != 0
    weights, usable = [], []
    for block in wired.stage.blocks:
        row = block.target - first_target
        row = row - block.num_targets if row == shape[0] else row
        column = block.source - first_source
        window = (slice(row, row + block.num_targets), slice(column, column + block.num_sources))
        weights.append(rectangle[window].reshape(-1))
        usable.append(chosen[window].reshape(-1))
    wired.weight.data = torch.cat(weights)
    selected = torch.nonzero(torch.cat(usable)).squeeze(1)
    wired.budget = selected.numel()
    wired.select(selected)
    record = ImportedStage(kept=int(chosen.sum()), usable=selected.numel())
    model.facts = replace(model.facts, official={**model.facts.official, wired.name: record})
    return (chosen & (rectangle != 0)).numpy()
