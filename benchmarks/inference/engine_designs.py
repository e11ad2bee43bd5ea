"""Designs of the engine that it does not have: loads shared by two targets, half floats, nodes reordered."""

from __future__ import annotations

import dataclasses
from unittest import mock

import torch
from torch import Tensor, nn

import dnw_graph as dg
from dnw_graph.inference import compiled
from dnw_graph.inference.compiled import CompiledNetwork
from dnw_graph.inference.layers import NodeStep
from dnw_graph.inference.liveness import Liveness, liveness
from dnw_graph.models.network import WiredNetwork


def shared_loads(model: WiredNetwork) -> dict[str, float]:
    """Per stage, the share of loads that are saved if targets go in pairs and load common sources once.

    Pairs are made greedily among all targets of a level, those with the most common sources first, over the
    sources of all earlier levels.
    """
    hears = _hears(model)
    found = {}
    for wired in model.body_stages():
        levels = [hears[level.index] for level in wired.stage.levels[1:]]
        edges = sum(float(matrix.sum()) for matrix in levels)
        found[wired.name] = sum(map(_common_of_pairs, levels)) / max(1.0, edges)
    return found


def reordered(model: WiredNetwork) -> CompiledNetwork:
    """The engine with each level's nodes so numbered that those with common sources follow each other."""
    hears = _hears(model)

    def in_new_order(model: WiredNetwork) -> Liveness:
        alive = liveness(model)
        live = [
            nodes[_chain(hears[level][nodes])] if level in hears else nodes
            for level, nodes in enumerate(alive.live)
        ]
        return dataclasses.replace(alive, live=live)

    with mock.patch.object(compiled, "liveness", in_new_order):
        return dg.compile(model, "native")


def _hears(model: WiredNetwork) -> dict[int, Tensor]:
    """Per level that hears, [T, S] of 0 and 1: which of its stage's earlier nodes a node hears from."""
    found = {}
    for wired in model.body_stages():
        stage = wired.stage
        parts: dict[int, list[Tensor]] = {level.index: [] for level in stage.levels[1:]}
        for block, index in zip(stage.blocks, wired.indices(), strict=True):
            matrix = torch.zeros(block.num_targets, block.num_sources)
            rows = torch.repeat_interleave(torch.arange(block.num_targets), index.pointer.diff())
            matrix[rows, index.source] = 1
            for level in stage.levels[1:]:
                first = level.first - block.target
                if 0 <= first < block.num_targets:
                    parts[level.index].append(matrix[first : first + level.size])
        found |= {level: torch.cat(each, dim=1) for level, each in parts.items()}
    return found


def _chain(hears: Tensor) -> Tensor:
    """An order of the targets, each followed by the one not yet in it with the most common sources."""
    common = (hears @ hears.t()).fill_diagonal_(-1)
    order, here = [], 0
    for _ in range(hears.shape[0]):
        order.append(here)
        common[:, here] = -1
        here = int(common[here].argmax())
    return torch.tensor(order, dtype=torch.int64)


def _common_of_pairs(hears: Tensor) -> float:
    """Common sources of greedily made pairs; hears [T, S] of 0 and 1."""
    common = (hears @ hears.t()).fill_diagonal_(-1)
    total = 0.0
    for _ in range(hears.shape[0] // 2):
        place = int(common.argmax())
        one, other = divmod(place, common.shape[1])
        total += float(common[one, other])
        common[[one, other]] = -1
        common[:, [one, other]] = -1
    return total


def bf16_error(model: WiredNetwork, image: Tensor) -> float:
    """Relative error of the logits if what nodes send is kept in bf16, and summed in float32."""
    exact, rounded = dg.compile(model, "csr"), dg.compile(model, "csr")
    for module in rounded.modules():
        if isinstance(module, NodeStep):
            module.register_forward_hook(_through_bf16)
    expected = exact(image)
    return float((rounded(image) - expected).abs().max() / expected.abs().max())


def _through_bf16(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output.bfloat16().to(output.dtype)
