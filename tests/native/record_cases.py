"""Write cases.bin: inputs for every function of the C library, and what the reference makes of them.

    python tests/native/record_cases.py

replay.c reads the file on processors that have no Python here. A case is a row of blocks: numbers (int64)
that begin with its kind, then arrays in the order of replay.c. A block is the number of its bytes (int64),
then the data, padded to 8 bytes. Results are those of NumPy or of torch in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import dnw_graph as dg
from dnw_graph.graph.node_spec import NodeSpec
from dnw_graph.message_passing import EdgeIndex
from dnw_graph.models.lower import lower
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static
from dnw_graph.node_operation.plain import PlainNodeKernels, depthwise
from dnw_graph.program.reference import evaluate

STORED = Path(__file__).with_name("cases.bin")
PRODUCT, EDGE_PRODUCTS, NODE, STAGE, PLAN = range(5)
Case = list[np.ndarray]


def cases() -> Iterator[Case]:
    random = np.random.default_rng(19)
    yield from _products(random)
    yield from _nodes(random)
    yield from _stages(random)
    yield from _plans(random)


def bytes_of(all_cases: Iterator[Case]) -> bytes:
    blocks = []
    for array in itertools.chain.from_iterable(all_cases):
        data = array.tobytes()
        blocks += [np.int64(len(data)).tobytes(), data, bytes(-len(data) % 8)]
    return b"".join(blocks)


def _numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def _floats(values: np.ndarray | Tensor) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=np.float32)


def _grid(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Eighths from −2 to 2, float64: sums of them have no rounding, and none lies near the ReLU's kink."""
    return random.integers(-16, 17, shape) / 8


def _edges(random: np.random.Generator, targets: int, sources: int) -> tuple[np.ndarray, EdgeIndex]:
    """A matrix [targets, sources] with two entries in five, and where these are."""
    matrix = np.where(random.random((targets, sources)) < 0.4, _grid(random, targets, sources) + 4, 0)
    places = torch.from_numpy(np.flatnonzero(matrix))
    return matrix, EdgeIndex.of_positions(places, targets, sources)


def _products(random: np.random.Generator) -> Iterator[Case]:
    """Of matrices in two pieces, added to what is there or not."""
    shapes = ((1, 1, 1, 1), (5, 7, 8, 2), (5, 7, 65, 5), (9, 3, 130, 4), (70, 40, 17, 33))
    for targets, sources, columns, split in shapes:
        matrix, index = _edges(random, targets, sources)
        where = [index.pointer.numpy(), index.source.numpy()]
        h, z, g = (_grid(random, rows, columns) for rows in (sources, targets, targets))
        value = matrix[matrix != 0]
        for add in (0, 1):
            numbers = _numbers(PRODUCT, sources, targets, columns, split, add)
            yield [numbers, *where, *map(_floats, (value, h, z, add * z + matrix @ h))]
        numbers = _numbers(EDGE_PRODUCTS, sources, targets, columns, split)
        yield [numbers, *where, *map(_floats, (g, h, (g @ h.T)[matrix != 0]))]


def _nodes(random: np.random.Generator) -> Iterator[Case]:
    """Statistics, node operation and gradients; images or pixels of rows fill the lanes, or break them."""
    plain = PlainNodeKernels(NodeSpec("batch"))
    sides = (
        (1, 1, 17, 1),
        (7, 7, 9, 2),
        (8, 8, 8, 1),
        (3, 16, 2, 1),
        (1, 24, 1, 2),
        (5, 48, 1, 1),
        (33, 5, 3, 1),
    )
    for (height, width, images, step), per_map in itertools.product(sides, (0, 1)):
        groups = 3 * images if per_map else 3
        z = torch.from_numpy(_grid(random, 3, images, height, width))
        mean, rstd = (
            torch.from_numpy(_grid(random, groups) / 4),
            torch.from_numpy(1 + abs(_grid(random, groups))),
        )
        scale, shift = torch.tensor([1.0, -0.5, 1.5]).double(), torch.tensor([0.01, -0.01, 0.51]).double()
        operands = z, mean, rstd, scale, shift, torch.from_numpy(_grid(random, 3, 1, 3, 3))
        h = plain.forward(*operands, step)
        g = torch.from_numpy(_grid(random, *h.shape))
        through = per_map
        gradients = plain.backward(g, *operands, step, bool(through))
        numbers = _numbers(NODE, 3, images, height, width, step, per_map, through)
        results = (*plain.statistics(z, groups), h, *gradients)
        yield [numbers, *map(_floats, (*operands, g, *results))]


def _stages(random: np.random.Generator) -> Iterator[Case]:
    for sizes, images, side, start in (
        ((3, 5, 4), 3, (8, 8), 4),
        ((4, 9, 9, 5), 2, (3, 16), 0),
        ((2, 3), 9, (2, 24), 0),
    ):
        yield _stage(random, sizes, images, side, start)


def _stage(
    random: np.random.Generator, sizes: tuple[int, ...], images: int, side: tuple[int, int], start: int
) -> Case:
    """A stage in training with an instance norm, by autograd."""
    levels, senders = len(sizes) - 1, sum(sizes[:-1])
    blocks = [_edges(random, sum(sizes[level + 1 :]), sizes[level]) for level in range(levels)]
    kink = 1.0 + (side[0] * side[1]) ** 0.5
    scale = torch.from_numpy(0.5 + abs(_grid(random, senders)))
    # A normed value among n is at most √n: no rounding moves any over the ReLU's kink.
    shift = torch.from_numpy(np.where(random.random(senders) < 0.8, 2 * kink, -2 * kink))
    kernel, z0 = (
        torch.from_numpy(_grid(random, *shape)) for shape in ((senders, 1, 3, 3), (sizes[0], images, *side))
    )
    learned = [each.requires_grad_() for each in (z0, scale, shift, kernel)]
    states: list[Tensor] = [z0] + [
        torch.zeros(size, images, *side, dtype=torch.float64) for size in sizes[1:]
    ]
    sent, means, variances, eps, first = [], [], [], 1e-5, 0
    for level, (matrix, _) in enumerate(blocks):
        mine = slice(first, first := first + sizes[level])
        z = states[level]
        if level:
            z.retain_grad()
        variance, mean = torch.var_mean(z, dim=(2, 3), correction=0, keepdim=True)
        affine = (z - mean) / (variance + eps).sqrt() * scale[mine, None, None, None] + shift[
            mine, None, None, None
        ]
        h = depthwise(affine.relu(), kernel[mine], 1)
        if start and level == levels - 1:
            states[-1] = states[-1] + z[-start:]
        heard = torch.einsum("ts,sbhw->tbhw", torch.from_numpy(matrix), h).split(sizes[level + 1 :])
        states[level + 1 :] = [z + message for z, message in zip(states[level + 1 :], heard, strict=True)]
        sent.append(h), means.append(mean[:, :, 0, 0]), variances.append(variance[:, :, 0, 0])
    g = torch.from_numpy(_grid(random, sizes[-1], images, *side))
    (states[-1] * g).sum().backward()
    edges = [
        part
        for matrix, index in blocks
        for part in (index.pointer.numpy(), index.source.numpy(), matrix[matrix != 0])
    ]
    parts = [_floats(part) if part.dtype == np.float64 else part for part in edges]
    between = [z.grad for z in states[1:-1]] or [torch.empty(0, images, *side)]
    results = (
        states[-1],
        torch.cat(means).T,
        torch.cat(variances).T,
        *(each.grad for each in learned),
        torch.cat([grad for grad in between if grad is not None]),
        torch.cat(sent),
    )
    numbers = _numbers(STAGE, levels, images, start, *side)
    given = (np.array([eps]), z0.detach(), scale.detach(), shift.detach(), kernel.detach(), g)
    return [
        numbers,
        _numbers(*sizes),
        *parts,
        *map(_floats, given),
        *(_floats(each.detach()) for each in results),
    ]


def _plans(random: np.random.Generator) -> Iterator[Case]:
    blocks = ((5, 6, 1, 2), (6, 5, 2, 3), (5, 7, 2, 1))
    for small, side, fused in ((False, 33, 0), (True, 16, 3)):
        options = {"num_classes": 3, "image_size": 64, "small": small, "blocks": blocks}
        model = mobilenet_v1(rule="random", density=0.3, **options)
        yield _plan(random, model, side, fused_stages=fused, strip_rows=2, block=3 if fused else None)
    yield _plan(
        random, tiny_static(rule="random", num_classes=3, groups=(4, 9, 9), readout=5, density=0.3), 32
    )


def _plan(random: np.random.Generator, model: WiredNetwork, side: int, **options: int | None) -> Case:
    """A whole network, for more images than threads."""
    with torch.no_grad():
        for name, value in [*model.named_parameters(), *model.named_buffers()]:
            if value.is_floating_point():
                values = torch.from_numpy(_grid(random, *value.shape) / 4)
                value.copy_(1 + values.abs() if name.endswith(("running_var", "norm.weight")) else values)
    images = _floats(_grid(random, 3, 3, side, side))
    network = dg.compile(model.eval(), "csr")
    _, executed = network.run(torch.from_numpy(images))
    made = network.tables(
        (3, side, side), **{name: value for name, value in options.items() if value is not None}
    )
    logits = evaluate(lower(model.double()), images)
    numbers = _numbers(PLAN, len(images), logits.shape[1], len(images) * executed.macs)
    return [numbers, made.tables, made.constants, made.numbers, made.edges, images, _floats(logits)]


if __name__ == "__main__":
    STORED.write_bytes(bytes_of(cases()))
    print(f"{STORED.stat().st_size:,} bytes in {STORED}")
