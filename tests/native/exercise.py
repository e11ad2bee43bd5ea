"""Every function of the kernels on sizes that end anywhere; test_other_builds runs it with one."""

from __future__ import annotations

import itertools
import random
from dataclasses import fields, replace

import torch

import dnw_graph as dg
from dnw_graph.engine.engine import Plan
from dnw_graph.errors import InputError
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.message_passing import EdgeIndex, find_backend
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.native.structures import Header
from dnw_graph.node_operation.native import NativeNodeKernels
from dnw_graph.node_operation.plain import PlainNodeKernels

_HEADER = [field.name for field in fields(Header)]
CLASSES = _HEADER.index("classes")
IMAGE = slice(_HEADER.index("image_channels"), _HEADER.index("image_width") + 1)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def products() -> None:
    native, dense = find_backend("native"), find_backend("dense")
    for targets, sources, columns in itertools.product((1, 5), (1, 7), (1, 7, 8, 65, 130)):
        chosen = torch.rand(targets * sources) < 0.4
        index = EdgeIndex.of_positions(chosen.nonzero().squeeze(1), targets, sources)
        h, g = torch.randn(sources, columns), torch.randn(targets, columns)
        value = torch.randn(index.num_edges)
        close(native.send(index, value, h)[0], dense.send(index, value, h)[0])
        close(native.send_back(index, value, [g]), dense.send_back(index, value, [g]))
        close(native.edge_gradient(index, [g], h), dense.edge_gradient(index, [g], h))


def pieces() -> None:
    """Products on matrices that begin and end with memory of their own."""
    native, dense = find_backend("native"), find_backend("dense")
    rows = ((0, 4), (1, 1), (3, 2), (4, 0), (5,))
    for split, sources, columns in itertools.product(rows, (1, 7), (1, 8, 17, 63, 65, 130)):
        targets = sum(split)
        chosen = torch.rand(targets * sources) < 0.4
        index = EdgeIndex.of_positions(chosen.nonzero().squeeze(1), targets, sources)
        h, value = torch.randn(sources, columns), torch.randn(index.num_edges)
        for add, threads in itertools.product((False, True), (1, 3)):
            torch.set_num_threads(threads)
            z = [torch.randn(count, columns) for count in split]
            expected = [part.clone() for part in z]
            native.send(index, value, h, z, add=add)
            dense.send(index, value, h, expected, add=add)
            close(torch.cat(z), torch.cat(expected))
            close(native.send_back(index, value, z), dense.send_back(index, value, z))
            close(native.edge_gradient(index, z, h), dense.edge_gradient(index, z, h))


def node_operations() -> None:
    """On maps of one pixel, of one strip and of several, for full and for broken vectors of images."""
    native, plain = NativeNodeKernels(), PlainNodeKernels(NodeSpec("batch"))
    sides = (
        (1, 1),
        (1, 9),
        (2, 3),
        (7, 7),
        (8, 8),
        (15, 14),
        (3, 16),
        (1, 24),
        (5, 48),
        (33, 5),
        (9, 130),
        (40, 33),
    )
    for images, (height, width), stride in itertools.product((1, 7, 8, 16, 17), sides, (1, 2)):
        for groups, threads in ((3, 1), (3 * images, 1), (3, 2), (3 * images, 5)):
            torch.set_num_threads(threads)
            # All on grids, which leave no pixel near the ReLU's kink.
            z = torch.randint(-8, 9, (3, images, height, width)) / 8
            mean, rstd = torch.randint(-4, 5, (groups,)) / 8, torch.randint(1, 4, (groups,)) / 2
            scale, shift = torch.tensor([1.0, -0.5, 1.5]), torch.tensor([0.01, -0.01, 0.51])
            operands = z, mean, rstd, scale, shift, torch.randn(3, 1, 3, 3)
            for found, expected in zip(
                native.statistics(z, groups), plain.statistics(z.double(), groups), strict=True
            ):
                close(found.double(), expected)
            h = native.forward(*operands, stride)
            exact = [each.double() for each in operands]
            close(h.double(), plain.forward(*exact, stride))
            for through_statistics in (False, True):
                g, into = torch.randn(h.shape), torch.empty(z.shape)
                found = native.backward(g, *operands, stride, through_statistics, into)
                expected = plain.backward(g.double(), *exact, stride, through_statistics)
                for got, wanted in zip(found, expected, strict=True):
                    size = wanted.abs().max().clamp(min=1)
                    close(got.double() / size, wanted / size)


def networks() -> None:
    blocks = ((5, 6, 1, 2), (6, 5, 2, 3), (5, 7, 2, 1))
    for small, density in itertools.product((False, True), (0.0, 0.2, 1.0)):
        options = {"rule": "random", "num_classes": 3, "image_size": 64, "small": small, "blocks": blocks}
        model = mobilenet_v1(density=1.0, **options).eval()
        for _, stage in model.wired_stages():
            stage.select(torch.nonzero(torch.rand(stage.stage.num_candidates) < density).squeeze(1))
        network = dg.compile(model, "csr")
        # One of them with maps wider than a strip's scratch holds two of.
        sides = (1, 2, 7, 16, 33, 190 if density == 0.2 and not small else 64)
        for side, fused in itertools.product(sides, (0, 1, 3)):
            images, block = torch.randn(3, 3, side, side), (None, 3)[side % 2]
            options = {"fused_stages": fused, "strip_rows": 2, "block": block}
            plan = Plan(network.tables((3, side, side), **options), 3)
            for threads in (1, 2, 3):
                torch.set_num_threads(threads)
                close(torch.from_numpy(plan.run(images.numpy(), threads)[0]), network(images))
    for edges in (0, 30, 200):
        model = tiny_static(rule="random", num_classes=3, groups=(4, 9, 9), readout=5, density=1.0).eval()
        (stage,) = model.body_stages()
        stage.select(torch.arange(min(edges, stage.stage.num_candidates)))
        images = torch.randn(3, 3, 32, 32)
        close(dg.compile(model, "native")(images), dg.compile(model, "csr")(images))


def plans_that_lie() -> None:
    """Numbers of plans changed at random: refused, or they run within their memory."""
    numbers = random.Random(0)
    tiny_one = tiny_static(rule="random", num_classes=3, groups=(4, 9, 9), readout=5, density=0.5)
    blocks = ((5, 6, 1, 2), (6, 5, 2, 3))
    options = {"rule": "random", "num_classes": 3, "image_size": 32, "blocks": blocks}
    models = [tiny_one, *(mobilenet_v1(density=0.5, small=small, **options) for small in (False, True))]
    images, refused, ran = torch.randn(2, 3, 32, 32).numpy(), 0, 0
    # Instance norms, as the first has them, are never run strip by strip.
    for model, fused in itertools.chain(
        zip(models, (0, 0, 0), strict=True), zip(models[1:], (1, 1), strict=True)
    ):
        tables = dg.compile(model.eval(), "csr").tables((3, 32, 32), fused_stages=fused)
        for _ in range(400):
            changed = [each.copy() for each in (tables.tables, tables.numbers, tables.edges["offset"])]
            which = changed[numbers.choice([0, 0, 0, 1, 2])]
            at = numbers.randrange(len(which))
            old = int(which[at])
            which[at] = numbers.choice([old + 1, old - 1, 2 * old, old // 2, 0, 1, -1, 7, 100, 1 << 30])
            edges = tables.edges.copy()
            edges["offset"] = changed[2]
            other = replace(tables, tables=changed[0], numbers=changed[1], edges=edges)
            if other.bytes_per_thread > 8 * tables.bytes_per_thread:
                continue
            try:
                plan = Plan(other, 3)
            except InputError:
                refused += 1
                continue
            if int(changed[0][CLASSES]) == 3 and list(changed[0][IMAGE]) == [3, 32, 32]:
                plan.run(images, 2)
                ran += 1
    assert refused > 500, refused
    assert ran > 100, ran


def stages() -> None:
    """Training image by image beside the plain way, which takes double floats."""
    cases = itertools.product((0, 30, 200), (1, 17), (1, 3), ((8, 8), (3, 16), (2, 24)))
    for edges, images, threads, side in cases:
        torch.set_num_threads(threads)
        gradients = []
        for backend in ("native", "csr"):
            torch.manual_seed(edges)
            model = tiny_static(
                rule="random", num_classes=3, groups=(4, 9, 9), readout=5, density=1.0, backend=backend
            )
            (stage,) = model.body_stages()
            stage.select(torch.randperm(stage.stage.num_candidates)[:edges].sort().values)
            for name, parameter in model.body.named_parameters():
                if name.endswith("norm.bias"):
                    # Of 64 values none is beyond 8 once normed: no rounding moves any over the ReLU's kink.
                    parameter.data = torch.where(torch.rand(len(parameter)) < 0.8, 9.0, -9.0)
            model.to(torch.float64 if backend == "csr" else torch.float32)
            z, g = (torch.randn(nodes, images, *side).to(stage.weight) for nodes in (4, 5))
            learned = [z.requires_grad_(), *model.body.parameters()]
            gradients.append(torch.autograd.grad((model.body(z) * g).sum(), learned))
        for found, expected in zip(*gradients, strict=True):
            size = expected.abs().max().clamp(min=1)
            close(found.double() / size, expected / size)


torch.manual_seed(0)
products()
pieces()
node_operations()
stages()
networks()
plans_that_lie()
print("exercised")
