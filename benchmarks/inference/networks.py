"""The networks whose inference is timed, with batch-norm statistics as images give them."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

import dnw_graph as dg
from dnw_graph.graph.status import CONSTANT, DEAD, LIVE
from dnw_graph.models.network import WiredNetwork

CONFIGS = Path(__file__).parents[2] / "configs" / "imagenet"
WIRED = {"random ×0.225": "random_x0.225", "random ×0.49": "random_x0.49", "DNW ×0.225": "dnw_x0.225"}
DENSE = {"MobileNetV1 ×0.25": "mobilenet_v1_x0.25", "ShuffleNetV2 ×0.5": "shufflenet_v2_x0.5"}

# Spread of the nodes' strengths: leaves about as many dead nodes as imported networks in tests/golden have.
_SPREAD = 0.4


def wired(name: str) -> WiredNetwork:
    """An untrained wired network in eval mode, by its name in `WIRED`."""
    model = dg.build_model(dg.load_config(CONFIGS / f"{WIRED[name]}.yaml"))
    if name.startswith("DNW"):
        _leave_dead_nodes(model)
    _take_statistics(model)
    return model.eval()


def dense(name: str) -> nn.Module:
    """An untrained dense baseline in eval mode, by its name in `DENSE`."""
    model = dg.build_model(dg.load_config(CONFIGS / f"{DENSE[name]}.yaml"))
    _take_statistics(model)
    return model.eval()


def described(model: WiredNetwork) -> str:
    """How many nodes are live, constant and dead."""
    status = model.node_status()
    live, constant, dead = (int((status == code).sum()) for code in (LIVE, CONSTANT, DEAD))
    return f"{live:,} live, {constant:,} constant, {dead:,} dead nodes"


@torch.no_grad()
def _leave_dead_nodes(model: WiredNetwork) -> None:
    """Strong and weak nodes (log-normal), the strongest edges selected: weak nodes keep none."""
    generator = torch.Generator().manual_seed(0)
    strength = torch.exp(_SPREAD * torch.randn(model.layout.num_nodes, generator=generator))
    for number in range(model.num_stages):
        edges = model.candidates(number)
        edges.parameter.mul_(strength[edges.source] * strength[edges.target])
    model.rewire()


@torch.no_grad()
def _take_statistics(model: nn.Module) -> None:
    """Scales, shifts and running statistics that differ from channel to channel."""
    generator = torch.Generator().manual_seed(1)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.weight.uniform_(0.5, 1.5, generator=generator)
        norm.bias.normal_(0.0, 0.2, generator=generator)
        norm.momentum = 1.0
    model.train()(torch.randn(4, 3, 224, 224, generator=generator))
    for norm in norms:
        assert norm.running_var is not None
        # A node that hears nothing has no variance.
        norm.running_var.clamp_(min=1e-2)
