"""Networks for tests: random ones for laws, and small ones of one structure."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st

from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_dynamic import tiny_discrete_time
from dnw_graph.models.tiny_static import tiny_static

# Share of a stage's candidates that is selected: from no edge at all to every one.
densities = st.sampled_from([0.0, 0.03, 0.08, 0.15, 0.3, 1.0])


@st.composite
def mobilenets(draw: st.DrawFn, classifiers: tuple[bool, ...] = (False, True)) -> WiredNetwork:
    inputs = draw(st.integers(1, 5))
    table = []
    for _ in range(draw(st.integers(1, 3))):
        width = draw(st.integers(1, 5))
        table.append((inputs, width, draw(st.integers(1, 2)), draw(st.integers(1, 3))))
        inputs = width
    model = mobilenet_v1(
        rule="top_k",
        num_classes=draw(st.integers(1, 4)),
        image_size=draw(st.sampled_from([5, 8, 11, 13])),
        density=1.0,
        small=draw(st.sampled_from(classifiers)),
        blocks=table,
    )
    return wired_at_random(draw, model)


@st.composite
def tinies(draw: st.DrawFn) -> WiredNetwork:
    groups = draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    model = tiny_static(
        rule="top_k",
        num_classes=draw(st.integers(1, 4)),
        density=1.0,
        groups=groups,
        readout=draw(st.integers(1, groups[-1])),
        stem_channels=draw(st.integers(1, 3)),
    )
    return wired_at_random(draw, model)


@st.composite
def discretes(draw: st.DrawFn) -> WiredNetwork:
    nodes = draw(st.integers(1, 7))
    model = tiny_discrete_time(
        rule="top_k",
        num_classes=draw(st.integers(1, 4)),
        density=1.0,
        nodes=nodes,
        inputs=draw(st.integers(1, nodes)),
        readout=draw(st.integers(1, nodes)),
        stem_channels=draw(st.integers(1, 3)),
        times=draw(st.integers(1, 4)),
    )
    return wired_at_random(draw, model)


def networks() -> st.SearchStrategy[WiredNetwork]:
    """Static ones of both kinds, float64 and in eval mode."""
    return st.one_of(mobilenets(), tinies())


def networks_and_discretes() -> st.SearchStrategy[WiredNetwork]:
    """Those in discrete time, too."""
    return st.one_of(networks(), discretes())


def wired_at_random(draw: st.DrawFn, model: WiredNetwork) -> WiredNetwork:
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    for _, stage in model.wired_stages():
        chosen = torch.rand(stage.stage.num_candidates, generator=generator) < draw(densities)
        stage.select(torch.nonzero(chosen).squeeze(1))
    return shaken(model, generator)


@torch.no_grad()
def shaken(model: WiredNetwork, generator: torch.Generator) -> WiredNetwork:
    """Weights, norms and statistics far from those at birth; the wiring stays."""
    model.double().eval()
    for name, value in model.state_dict().items():
        if not value.is_floating_point():
            continue
        noise = torch.randn(value.shape, generator=generator, dtype=value.dtype)
        if name.endswith("running_var"):
            value.copy_(0.5 + noise.abs())
        elif "norm" in name and name.endswith("weight"):
            value.copy_(1 + 0.5 * noise)
        else:
            value.copy_(0.7 * noise)
    return model


# Small networks of one structure, and what tests do with any

BLOCKS = ((4, 6, 1, 2), (6, 5, 2, 3), (5, 6, 2, 1))


def mobilenet(**options):
    settings = {"rule": "random", "num_classes": 3, "image_size": 13, "density": 0.3, "blocks": BLOCKS}
    return mobilenet_v1(**(settings | options)).eval()


def tiny(**options):
    settings = {"rule": "random", "num_classes": 3, "groups": (4, 6, 6), "readout": 4, "stem_channels": 2}
    return tiny_static(**(settings | {"edges": 25} | options)).eval()


def images_for(model, count=2, side=None, seed=3):
    side = side or model.image_size
    dtype = model.body.stages[0].weight.dtype
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(seed)).to(dtype)


def relative(a, b):
    """max|a − b| / max|b|; where b is 0, max|a|."""
    a, b = np.asarray(a), np.asarray(b)
    assert a.shape == b.shape
    return np.abs(a - b).max() / (np.abs(b).max() or 1)


def select_share(model, share):
    """Give every stage that share of its candidates, chosen at random."""
    for index, (_, stage) in enumerate(model.wired_stages()):
        count = stage.stage.num_candidates
        ids = torch.randperm(count, generator=torch.Generator().manual_seed(index))[: int(share * count)]
        stage.select(ids.sort().values)
