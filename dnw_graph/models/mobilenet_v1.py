"""The MobileNetV1-like wired network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dnw_graph.errors import InputError
from dnw_graph.graph.budget import check_budget, edges_for_density, stage_budget
from dnw_graph.graph.layout import chain_of_stages
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.models.body import WiredBody
from dnw_graph.models.dense_baselines import SMALL_IMAGE
from dnw_graph.models.facts import Facts
from dnw_graph.models.heads import LinearHead, WiredClassifier
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.stems import ConvStem
from dnw_graph.wiring import make_rule

# Input nodes, nodes per level, stride, levels: the published network's five stages.
PUBLISHED_BLOCKS = ((32, 64, 1, 1), (64, 128, 2, 2), (128, 256, 2, 2), (256, 512, 2, 6), (512, 1024, 2, 2))


def mobilenet_v1(
    *,
    rule: str,
    num_classes: int,
    image_size: int,
    width: float | None = None,
    density: float | None = None,
    small: bool = False,
    blocks: Sequence[tuple[int, int, int, int]] = PUBLISHED_BLOCKS,
    seed: int = 0,
    backend: str = "auto",
    weight_scale: float = 1.0,
    rule_options: Mapping[str, Any] | None = None,
) -> WiredNetwork:
    """Stem 3×3 → five wired stages → batch norm, ReLU, pool, classifier.

    width    k = ceil(width² · edges of the dense 1×1 convolutions) per stage (or `density`, a
             fraction of the candidates)
    small    the classifier is a wiring too, with ceil(width · channels · classes) edges

    Source: Wortsman, Farhadi, Rastegari 2019, section 4.2.
    """
    layout = chain_of_stages(blocks)
    maker = make_rule(rule, rule_options)
    stages = [
        WiredStage(
            stage,
            maker,
            stage_budget(stage, width=width, density=density),
            name=f"stage_{stage.index}",
            seed=seed,
            backend=backend,
            weight_scale=weight_scale,
        )
        for stage in layout.stages
    ]
    channels = layout.levels[-1].size
    head: LinearHead | WiredClassifier = LinearHead(channels, num_classes)
    if small:
        bipartite = chain_of_stages([(channels, num_classes, 1, 1)])
        share = width if width is not None else density
        if share is None:
            raise InputError("a Small classifier needs model.width or model.density for its budget")
        k = edges_for_density(share, channels * num_classes)
        said = f"model.width {share}" if width is not None else f"model.density {share}"
        check_budget(k, channels * num_classes, said, "the Small classifier", "1")
        wiring = WiredStage(bipartite.stages[0], maker, k, name="head", seed=seed, backend=backend)
        head = WiredClassifier(bipartite, wiring)
    network = WiredNetwork(
        network="mobilenet_v1",
        rule_name=rule,
        stem=ConvStem(layout.levels[0].size, stride=1 if image_size <= SMALL_IMAGE else 2),
        body=WiredBody(layout, stages, spec=NodeSpec("batch")),
        head=head,
        image_size=image_size,
    )
    if width is not None:
        # The published counts reckon with the width, which the budgets do not tell.
        network.facts = Facts(width=width)
    return network
