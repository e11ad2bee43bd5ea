"""The tiny static network: 41k parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dnw_graph.errors import InputError
from dnw_graph.graph.budget import stage_budget
from dnw_graph.graph.layout import groups_with_readout
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.models.body import WiredBody
from dnw_graph.models.heads import TinyHead
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.stems import TinyStem
from dnw_graph.wiring import make_rule

PUBLISHED_GROUPS = (32, 192, 192, 192, 192)
PUBLISHED_READOUT = 100
PUBLISHED_STEM = 16
IMAGE_SIZE = 32


def tiny_static(
    *,
    rule: str,
    num_classes: int,
    image_size: int = IMAGE_SIZE,
    edges: int | None = None,
    width: float | None = None,
    density: float | None = None,
    groups: Sequence[int] = PUBLISHED_GROUPS,
    readout: int = PUBLISHED_READOUT,
    stem_channels: int = PUBLISHED_STEM,
    seed: int = 0,
    backend: str = "auto",
    weight_scale: float = 1.0,
    rule_options: Mapping[str, Any] | None = None,
) -> WiredNetwork:
    """Stem → five groups of nodes and a readout, one stage of 8×8 maps → linear.

    Source: Wortsman, Farhadi, Rastegari 2019, section 4.1 (static setting).
    """
    if image_size != IMAGE_SIZE:
        raise InputError(f"model.image_size {image_size}: tiny_static reads 8×8 maps; use {IMAGE_SIZE}")
    layout = groups_with_readout(groups, readout)
    (stage,) = layout.stages
    wired = WiredStage(
        stage,
        make_rule(rule, rule_options),
        stage_budget(stage, width=width, edges=edges, density=density),
        name="stage_0",
        seed=seed,
        backend=backend,
        weight_scale=weight_scale,
    )
    return WiredNetwork(
        network="tiny_static",
        rule_name=rule,
        stem=TinyStem(groups[0], stem_channels),
        body=WiredBody(layout, [wired], spec=NodeSpec("instance")),
        head=TinyHead(readout, num_classes),
        image_size=image_size,
    )
