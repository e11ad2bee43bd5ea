"""Networks of the 2019 program: from its state dictionaries to ours.

There, a stage's weights were one rectangle [targets, sources] over all its nodes, of which only
the positions that lead to a later level were ever read. The importer computes that program's
selection over the full rectangle and keeps the usable edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor, nn

from dnw_graph.accounting.model import remember_published
from dnw_graph.accounting.published import alive_in, block_prune_rate, profile, rectangles, tiny
from dnw_graph.errors import InputError
from dnw_graph.graph.status import Flags
from dnw_graph.interchange.official_file import read_official_file
from dnw_graph.interchange.recognise import recognise
from dnw_graph.models.facts import ImportedStage
from dnw_graph.models.heads import LinearHead, WiredClassifier
from dnw_graph.models.mobilenet_v1 import PUBLISHED_BLOCKS, mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.node_operation import InstanceNorm, NodeOperation
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.wiring import strongest

# The 2019 program's word for its graph → our rule.
RULES = {
    "dnw": "top_k",
    "random": "random",
    "complete": "top_k",
    "dnw_no_update": "top_k_no_update",
    "fine_tune": "fixed_top_k",
}
NETWORKS = ("mobilenet_v1", "tiny_static")
Blocks = Sequence[tuple[int, int, int, int]]


class WrongNetworkError(InputError):
    """The file is sound, but holds another network than was asked for."""


def from_official(
    source: str | Path | Mapping[str, Tensor],
    network: str = "mobilenet_v1",
    graph: str = "dnw",
    prune_rate: float = 0.775,
    small: bool = False,
    image_size: int | None = None,
    num_classes: int | None = None,
    blocks: Blocks | None = None,
) -> WiredNetwork:
    """A network of ours with the weights and the wiring of an official one, in eval mode.

    source      a checkpoint file of the 2019 trainer, or a state dictionary (`module.` prefixes
                or not)
    network     mobilenet_v1 or tiny_static
    graph       the file's own word: dnw, random, complete, dnw_no_update or fine_tune
    prune_rate  the configuration's; width = 1 - prune_rate
    image_size  None: 224 for 1000 classes, else 32
    num_classes None: from the shapes
    blocks      another block table [(input nodes, nodes per level, stride, levels), …]

    `model.facts.official` says how many edges the file kept and how many of them were
    never read and are dropped, per stage. The budget becomes the number of usable edges, so that
    the first rewiring of a top-k network changes nothing.
    Raises InputError if the tensors do not belong to that network.
    """
    if network not in NETWORKS:
        raise InputError(f"network {network!r} cannot be imported; choose {' or '.join(NETWORKS)}")
    if graph not in RULES:
        raise InputError(f"graph {graph!r} cannot be imported; choose one of {', '.join(RULES)}")
    if not 0 <= prune_rate < 1:
        raise InputError(
            f"prune_rate {prune_rate} is not a fraction in [0, 1); the published ones are 0.775 and the like"
        )
    name, state = _read(source)
    tensors = _Tensors(name, state)
    if network == "tiny_static" and (small or blocks is not None):
        raise InputError("small and blocks belong to mobilenet_v1; leave them out for tiny_static")
    _check_kind(name, state, network, small)
    if network == "tiny_static":
        model = _tiny(tensors, graph, prune_rate, image_size, num_classes)
    else:
        model = _mobilenet(
            tensors, graph, prune_rate, small, image_size, num_classes, blocks or PUBLISHED_BLOCKS
        )
    tensors.refuse_leftovers()
    dtype = next(value.dtype for value in state.values() if value.is_floating_point())
    return model.to(dtype).eval()


def _read(source: str | Path | Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    if isinstance(source, (str, Path)):
        name, state = str(source), read_official_file(source)
    else:
        name, state = "state dictionary", dict(source)
    wrong = [key for key, value in state.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if wrong or not state:
        what = f"entry {wrong[0]!r} is no tensor with a name" if wrong else "it is empty"
        raise InputError(f"{name}: {what}; a model's state dictionary is wanted")
    return name, {key.removeprefix("module."): value for key, value in state.items()}


def _check_kind(name: str, state: Mapping[str, Tensor], network: str, small: bool) -> None:
    """Refuse a file of another network by the name of the one that it holds."""
    found = recognise(state)
    if found is None:
        raise WrongNetworkError(
            f"{name}: has no tensors of the 2019 program's networks; give one of its checkpoints"
        )
    if (found.network, found.small) != (network, small):
        wanted = f"{network}{' (small)' if small else ''}"
        raise WrongNetworkError(
            f"{name}: holds {found}, but {wanted} was asked for; choose the network that it holds"
        )


class _Tensors:
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
            _copy(mine, self.take(f"{key}.{leaf}", mine.shape))


def _copy(mine: Tensor, theirs: Tensor) -> None:
    with torch.no_grad():
        mine.data = theirs.detach().clone().to(mine.device)


def _mobilenet(
    tensors: _Tensors,
    graph: str,
    prune_rate: float,
    small: bool,
    image_size: int | None,
    num_classes: int | None,
    blocks: Blocks,
) -> WiredNetwork:
    classes = tensors.shape("linear.graph.weight", 4)[0] if small else tensors.shape("linear.weight", 2)[0]
    _agree(tensors.name, classes, num_classes)
    model = mobilenet_v1(
        rule=RULES[graph],
        num_classes=classes,
        image_size=image_size or (224 if classes == 1000 else 32),
        density=1.0,
        small=small,
        blocks=blocks,
    )
    tensors.fill(model.stem.conv, "conv1")  # type: ignore[arg-type]
    table, effective = rectangles(model.layout), []
    for index, (_, width, _, count) in enumerate(blocks):
        stage = model.body.stages[index]
        assert isinstance(stage, WiredStage)
        where = f"layers.{index}"
        senders = [model.body.operations[level.index] for level in stage.stage.levels[:-1]]
        rows = width * (count - 1)
        kernels = [tensors.take(f"{where}.downsample.0.weight", (stage.stage.levels[0].size, 1, 3, 3))]
        if rows:
            kernels += tensors.take(f"{where}.conv.weight", (rows, 1, 3, 3)).split(width)
        for number, (operation, kernel) in enumerate(zip(senders, kernels, strict=True)):
            assert isinstance(operation, NodeOperation)
            tensors.fill(operation.norm, f"{where}.norm.{number}")
            _copy(operation.kernel, kernel)
        first_target, first_source = stage.stage.levels[1].first, stage.stage.levels[0].first
        shape = (width * count, stage.stage.levels[0].size + rows)
        pruned = int(block_prune_rate(table[index], prune_rate) * (shape[0] * shape[1]))
        effective.append(
            _wire(model, stage, tensors, f"{where}.graph", shape, first_target, first_source, graph, pruned)
        )
    head = model.head
    assert isinstance(head, (LinearHead, WiredClassifier))
    tensors.fill(head.norm, "bn")
    if isinstance(head, WiredClassifier):
        shape = (classes, head.layout.levels[0].size)
        pruned = int(prune_rate * head.layout.levels[0].size * classes)
        _wire(
            model, head.wiring, tensors, "linear.graph", shape, head.layout.levels[1].first, 0, graph, pruned
        )
    else:
        tensors.fill(head.linear, "linear")
    # Edges that are never read count in the published convention, and this model does not have them.
    model.facts = replace(model.facts, width=float(1 - Fraction(str(prune_rate))))
    alive = alive_in(effective, table)
    remember_published(model, profile(table, prune_rate, classes, small=small, alive=alive))
    return model


def _tiny(
    tensors: _Tensors, graph: str, prune_rate: float, image_size: int | None, num_classes: int | None
) -> WiredNetwork:
    classes, readout = tensors.shape("fc.weight", 2)
    _agree(tensors.name, classes, num_classes)
    groups: list[int] = []
    while f"norm.{len(groups)}.weight" in tensors.left:
        groups.append(tensors.shape(f"norm.{len(groups)}.weight", 1)[0])
    nodes, hidden = tensors.shape("conv.weight", 4)[0], tensors.shape("downsample.0.weight", 4)[0]
    if sum(groups) != nodes:
        raise WrongNetworkError(
            f"{tensors.name}: its norms cover {sum(groups)} of {nodes} nodes; this is no tiny_static file"
        )
    if readout > groups[-1]:
        raise WrongNetworkError(
            f"{tensors.name}: fc.weight reads {readout} nodes, but the last group has {groups[-1]}"
        )
    model = tiny_static(
        rule=RULES[graph],
        num_classes=classes,
        image_size=image_size or 32,
        density=1.0,
        groups=groups,
        readout=readout,
        stem_channels=hidden,
    )
    tensors.left.pop("zeros", None)
    stem = model.stem
    for position, layer in enumerate(
        (stem.conv, stem.conv_norm, None, stem.depthwise, stem.pointwise, stem.norm)
    ):
        if layer is not None:
            tensors.fill(layer, f"downsample.{position}")  # type: ignore[arg-type]
    kernels = tensors.take("conv.weight", (nodes, 1, 3, 3)).split(groups)
    for number, (operation, kernel) in enumerate(zip(model.body.operations, kernels, strict=True)):
        assert isinstance(operation, NodeOperation)
        assert isinstance(operation.norm, InstanceNorm)
        tensors.fill(operation.norm, f"norm.{number}")
        _copy(operation.kernel, kernel)
    wired = model.body.stages[0]
    assert isinstance(wired, WiredStage)
    pruned = int(prune_rate * nodes * nodes)
    _wire(model, wired, tensors, "graph", (nodes, nodes), 0, 0, graph, pruned)
    tensors.fill(model.head.linear, "fc")  # type: ignore[arg-type]
    around = sum(parameter.numel() for part in (stem, model.head) for parameter in part.parameters())
    remember_published(model, tiny(model.facts.official[wired.name].kept, nodes, around))
    return model


def _agree(name: str, found: int, wanted: int | None) -> None:
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
def _wire(
    model: WiredNetwork,
    wired: WiredStage,
    tensors: _Tensors,
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
    if bool(rectangle.isnan().any()):
        raise InputError(
            f"{tensors.name}: {key}.weight holds NaN, so that no selection is defined; use another file"
        )
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
