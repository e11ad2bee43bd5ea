"""The work of one training step, counted from the network: floating-point operations and bytes."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch
from torch import Tensor, nn

from dnw_graph.models.network import WiredNetwork

# The parts of a step.
STEM, HEAD = "stem", "head and loss"
NODES, NODES_BACK = "node operations", "node operations, backward"
MESSAGES, MESSAGES_BACK = "messages", "messages, to features"
# Both at once, where a stage is run image by image.
STATES, STATES_BACK = "nodes and messages, image by image", "nodes and messages, backward"
CANDIDATES = "gradients of candidate edges"
OPTIMISER, SELECTION = "optimiser", "selection"

# Bytes of a float32, and of an edge: its weight and the number of its source.
_FLOAT, _EDGE = 4, 12


def work(model: WiredNetwork, images: int) -> dict[str, tuple[int, int]]:
    """Part → (FLOPs, bytes) of a step with so many images.

    Every operand is read once and every result written once, which a real step can reach but not undercut:
    messages          selected edges; targets that have heard from a level before are read, too
    candidate edges   one dense product for each source level
    node operations   the 3×3 convolutions (norm and ReLU count as bytes only); backward both their gradients
    stem and head     layers, forward and backward; no gradient to the images
    image by image    the same operations, but only states, gradients and what nodes send move
    """
    sides = model.layout.resolutions(model.stem_side)
    done: dict[str, list[int]] = defaultdict(lambda: [0, 0])

    def add(part: str, flops: int, moved: int) -> None:
        done[part][0] += flops
        done[part][1] += moved

    for wired in model.body_stages():
        stage = wired.stage
        columns = images * sides[stage.levels[-1].index] ** 2
        for level, block in zip(stage.levels, stage.blocks, strict=False):
            ends = block.num_sources + block.num_targets
            edges = int(((wired.selected >= block.offset) & (wired.selected < block.end)).sum())
            heard = 0 if block is stage.blocks[0] else block.num_targets
            add(MESSAGES, 2 * edges * columns, _FLOAT * columns * (ends + heard) + _EDGE * edges)
            add(MESSAGES_BACK, 2 * edges * columns, _FLOAT * columns * ends + _EDGE * edges)
            add(CANDIDATES, 2 * block.size * columns, _FLOAT * (columns * ends + block.size))
            before, after = images * sides[level.index] ** 2 * level.size, columns * level.size
            add(NODES, 18 * after, _FLOAT * (before + after))
            add(NODES_BACK, 36 * after, _FLOAT * (2 * before + after))
            add(STATES, 18 * after + 2 * edges * columns, _FLOAT * before + _EDGE * edges)
            add(STATES_BACK, 36 * after + 2 * edges * columns, _FLOAT * (2 * before + after) + _EDGE * edges)
        last = columns * stage.levels[-1].size
        add(STATES, 0, _FLOAT * last)
        add(STATES_BACK, 0, _FLOAT * last)
        add(SELECTION, 0, _FLOAT * stage.num_candidates)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    # weight ← weight − lr · momentum, momentum ← …: three read, two written.
    add(OPTIMISER, 6 * parameters, 5 * _FLOAT * parameters)
    side, last = model.image_size, model.layout.levels[-1]
    weight = next(model.parameters())
    pixels = weight.new_zeros(images, 3, side, side)
    states = weight.new_zeros(images, last.size, sides[-1], sides[-1])
    add(STEM, *_layers(model.stem, pixels, wants_gradient=False))
    add(HEAD, *_layers(model.head, states, wants_gradient=True))
    return {part: (flops, moved) for part, (flops, moved) in done.items()}


@torch.no_grad()
def _layers(module: nn.Module, inputs: Tensor, wants_gradient: bool) -> tuple[int, int]:
    """FLOPs and bytes of a module's layers, forward and backward."""
    found = [0, 0]
    first = True

    def count(layer: nn.Module, given: tuple[Any, ...], result: Tensor) -> None:
        nonlocal first
        # The output once more for each gradient that is wanted.
        gradients = 2 if wants_gradient or not first else 1
        first = False
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            per_output = layer.weight[0].numel()
            found[0] += 2 * per_output * result.numel() * (1 + gradients)
        found[1] += _FLOAT * (1 + gradients) * (given[0].numel() + result.numel())

    leaves = [each for each in module.modules() if not list(each.children())]
    hooks = [leaf.register_forward_hook(count) for leaf in leaves]
    training = module.training
    # In evaluation mode no running statistics change.
    module.eval()(inputs)
    module.train(training)
    for hook in hooks:
        hook.remove()
    return found[0], found[1]
