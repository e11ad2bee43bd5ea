"""Networks of the 2019 program: from its state dictionaries to ours.

There, a stage's weights were one rectangle [targets, sources] over all its nodes, of which only
the positions that lead to a later level were ever read. The importer computes that program's
selection over the full rectangle and keeps the usable edges.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from dnw_graph.arguments import expect, number, path_of, whole_number
from dnw_graph.errors import InputError
from dnw_graph.interchange.official_file import check_tensors, read_official_file
from dnw_graph.interchange.official_mobilenet import Blocks, import_mobilenet
from dnw_graph.interchange.official_tensors import RULES, Tensors, WrongNetworkError
from dnw_graph.interchange.official_tiny import import_tiny_dynamic, import_tiny_static
from dnw_graph.interchange.recognise import recognise
from dnw_graph.models.mobilenet_v1 import PUBLISHED_BLOCKS
from dnw_graph.models.network import WiredNetwork

__all__ = ["NETWORKS", "RULES", "WrongNetworkError", "from_official"]

NETWORKS = ("mobilenet_v1", "tiny_static", "tiny_discrete_time", "tiny_continuous_time")


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
    network     mobilenet_v1, tiny_static, tiny_discrete_time or tiny_continuous_time; the last one is made
                with the in-place ReLU of 2019, which its results contain
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
    expect(network, str, "network", f"one of {', '.join(NETWORKS)}")
    if network not in NETWORKS:
        raise InputError(f"network {network!r} cannot be imported; choose {' or '.join(NETWORKS)}")
    expect(graph, str, "graph", f"one of {', '.join(RULES)}")
    expect(small, bool, "small", "True or False")
    number(prune_rate, "prune_rate")
    for name, value in (("image_size", image_size), ("num_classes", num_classes)):
        if value is not None:
            whole_number(value, name, 1, 1 << 20)
    if graph not in RULES:
        raise InputError(f"graph {graph!r} cannot be imported; choose one of {', '.join(RULES)}")
    if not 0 <= prune_rate < 1:
        raise InputError(
            f"prune_rate {prune_rate} is not a fraction in [0, 1); the published ones are 0.775 and the like"
        )
    name, state = _read(source)
    tensors = Tensors(name, state)
    if network != "mobilenet_v1" and (small or blocks is not None):
        raise InputError(f"small and blocks belong to mobilenet_v1; leave them out for {network}")
    _check_kind(name, state, network, small)
    if network == "tiny_static":
        model = import_tiny_static(tensors, graph, prune_rate, image_size, num_classes)
    elif network != "mobilenet_v1":
        model = import_tiny_dynamic(tensors, network, graph, prune_rate, image_size, num_classes)
    else:
        model = import_mobilenet(
            tensors, graph, prune_rate, small, image_size, num_classes, blocks or PUBLISHED_BLOCKS
        )
    tensors.refuse_leftovers()
    dtype = next(value.dtype for value in state.values() if value.is_floating_point())
    return model.to(dtype).eval()


def _read(source: str | Path | Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    expect(source, (str, Path, Mapping), "source", "the path of a checkpoint, or a state dictionary")
    if not isinstance(source, Mapping):
        name, state = str(source), read_official_file(path_of(source, "source"))
    else:
        name, state = "state dictionary", dict(source)
    wrong = [key for key, value in state.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if wrong or not state:
        what = f"entry {wrong[0]!r} is no tensor with a name" if wrong else "it is empty"
        raise InputError(f"{name}: {what}; a model's state dictionary is wanted")
    if isinstance(source, Mapping):
        # A file's were looked at when it was read.
        state = {key: value.detach().cpu() for key, value in state.items()}
        check_tensors(state, name)
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
