"""The tiny networks in discrete and in continuous time: 41k parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dnw_graph.errors import InputError
from dnw_graph.graph.budget import stage_budget
from dnw_graph.graph.layout import one_evaluation
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.models.dynamic import DynamicBody
from dnw_graph.models.heads import TinyHead
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.stems import TinyStem
from dnw_graph.models.tiny_static import IMAGE_SIZE, PUBLISHED_READOUT, PUBLISHED_STEM
from dnw_graph.wiring import make_rule

PUBLISHED_NODES, PUBLISHED_INPUTS, PUBLISHED_TIMES = 800, 32, 5


def tiny_discrete_time(*, times: int = PUBLISHED_TIMES, **options: Any) -> WiredNetwork:
    """Stem → one graph of 800 nodes, applied five times to 8×8 maps → linear.

    times    evaluations of the graph
    options  see `_tiny_dynamic`

    Source: Wortsman, Farhadi, Rastegari 2019, section 4.1 (discrete time).
    """
    if times < 1:
        raise InputError(f"times {times} evaluates the graph never; use at least 1")
    return _tiny_dynamic("tiny_discrete_time", times, **options)


def tiny_continuous_time(*, inplace_relu: bool = False, **options: Any) -> WiredNetwork:
    """Stem → an ordinary differential equation of 800 nodes on 8×8 maps, solved from 0 to 1 → linear.

    inplace_relu  clip the solver's states at 0, as the 2019 code did by accident, and so do its results
    options       see `_tiny_dynamic`

    Source: Wortsman, Farhadi, Rastegari 2019, section 4.1 (continuous time).
    """
    return _tiny_dynamic("tiny_continuous_time", 0, clip=inplace_relu, **options)


def _tiny_dynamic(
    network: str,
    evaluations: int,
    *,
    rule: str,
    num_classes: int,
    image_size: int = IMAGE_SIZE,
    edges: int | None = None,
    width: float | None = None,
    density: float | None = None,
    nodes: int = PUBLISHED_NODES,
    inputs: int = PUBLISHED_INPUTS,
    readout: int = PUBLISHED_READOUT,
    stem_channels: int = PUBLISHED_STEM,
    seed: int = 0,
    backend: str = "auto",
    weight_scale: float = 1.0,
    rule_options: Mapping[str, Any] | None = None,
    clip: bool = False,
) -> WiredNetwork:
    """nodes: of the graph; the stem feeds the first `inputs` of them, the head reads the last `readout`."""
    if image_size != IMAGE_SIZE:
        raise InputError(f"model.image_size {image_size}: {network} reads 8×8 maps; use {IMAGE_SIZE}")
    if not (0 < inputs <= nodes and 0 < readout <= nodes):
        raise InputError(
            f"{network} of {nodes} nodes cannot have {inputs} inputs and {readout} outputs; use 1 to {nodes}"
        )
    layout = one_evaluation(nodes, inputs, evaluations)
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
        network=network,
        rule_name=rule,
        stem=TinyStem(inputs, stem_channels),
        body=DynamicBody(layout, wired, NodeSpec("none"), readout, clip),
        head=TinyHead(readout, num_classes),
        image_size=image_size,
    )
