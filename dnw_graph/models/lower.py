"""From a network to its program: what it computes in eval mode, with the weights and the wiring of now."""

from __future__ import annotations

import torch

from dnw_graph.errors import InputError
from dnw_graph.models.network import WiredNetwork
from dnw_graph.program.part import Part
from dnw_graph.program.program import IMAGES, LOGITS, Program


@torch.no_grad()
def lower(model: torch.nn.Module) -> Program:
    """The program of a wired network; it keeps copies, so that the network may change afterwards.

    Stem, body and head each say their part by a method `lowered`.
    Raises InputError for a network without a wiring, or with a part that does not.
    """
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{type(model).__name__} has no wiring, and no program; give a wired network")
    for name in ("stem", "body", "head"):
        if not hasattr(getattr(model, name), "lowered"):
            raise InputError(
                f"the {name} {type(getattr(model, name)).__name__} says no steps; give it a method `lowered`"
            )
    body = model.body
    whole = Part((), {IMAGES: 3})
    whole += model.stem.lowered(IMAGES, body.input)  # type: ignore[operator]
    whole += body.lowered()
    whole += model.head.lowered(body.output, LOGITS)  # type: ignore[operator]
    channels = {**whole.channels, LOGITS: model.num_classes}
    return Program(whole.steps, channels, dict(whole.tensors), model.image_size)
