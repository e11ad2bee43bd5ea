"""Every function of the kernels on sizes that end anywhere; test_other_builds runs it with one."""

from __future__ import annotations

import itertools

import torch

import dnw_graph as dg
from dnw_graph.inference.engine import Plan
from dnw_graph.inference.plan_layers import plan_of
from dnw_graph.message_passing import EdgeIndex, find_backend
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def products() -> None:
    native, dense = find_backend("native"), find_backend("dense")
    for targets, sources, columns in itertools.product((1, 5), (1, 7), (1, 7, 8, 65, 130)):
        chosen = torch.rand(targets * sources) < 0.4
        index = EdgeIndex.of_positions(chosen.nonzero().squeeze(1), targets, sources)
        h, g = torch.randn(sources, columns), torch.randn(targets, columns)
        value = torch.randn(index.num_edges)
        structure = (index.pointer, index.source)
        close(native.aggregate(h, value, *structure), dense.aggregate(h, value, *structure))
        found = native.transposed(g, value, *structure, sources)
        close(found, dense.transposed(g, value, *structure, sources))
        close(native.edge_gradient(g, h, *structure), dense.edge_gradient(g, h, *structure))


def networks() -> None:
    blocks = ((5, 6, 1, 2), (6, 5, 2, 3), (5, 7, 2, 1))
    for small, density in itertools.product((False, True), (0.0, 0.2, 1.0)):
        options = {"rule": "random", "num_classes": 3, "image_size": 64, "small": small, "blocks": blocks}
        model = mobilenet_v1(density=1.0, **options).eval()
        for _, stage in model.wired_stages():
            stage.select(torch.nonzero(torch.rand(stage.stage.num_candidates) < density).squeeze(1))
        network = dg.compile(model, "csr")
        for side, fused in itertools.product((1, 2, 7, 16, 33, 64), (0, 1, 3)):
            images = torch.randn(2, 3, side, side)
            constants = network._constants_for(*network.stem.sides(side, side))
            parts = (network.stem, list(network.stages), constants.bases, network.head, constants.logits)
            plan = Plan(plan_of((3, side, side), *parts, fused_stages=fused, strip_rows=2), 3)
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                close(plan.run(images)[0], network(images))
    for edges in (0, 30, 200):
        model = tiny_static(rule="random", num_classes=3, groups=(4, 9, 9), readout=5, density=1.0).eval()
        (stage,) = model.body_stages()
        stage.select(torch.arange(min(edges, stage.stage.num_candidates)))
        images = torch.randn(3, 3, 32, 32)
        close(dg.compile(model, "native")(images), dg.compile(model, "csr")(images))


products()
networks()
print("exercised")
