"""Who trains: the 2019 method and every backend of ours, behind one `step`, and where a step's time goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import dnw_graph as dg
from benchmarks.peers.original_training import OriginalLearner
from dnw_graph.config.schema import Config
from dnw_graph.data import open_data
from dnw_graph.errors import InputError
from dnw_graph.message_passing import find_backend
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.registry import build_model
from dnw_graph.training.distributed import World
from dnw_graph.training.learner import Learner

CONFIGS = Path(__file__).parents[2] / "configs" / "fashion_mnist"
NETWORKS = {"tiny static": "tiny_static_dnw", "MobileNetV1-like ×0.225": "dnw_x0.225"}
BATCH = {"tiny static": 512, "MobileNetV1-like ×0.225": 128}
CONTENDERS = ("original", "dense", "dgl", "csr", "auto")
PARTS = ("forward", "backward", "optimiser", "selection")

Batch = tuple[Tensor, Tensor]


@dataclass
class Contender:
    """A learner in training on the same batches, over and over.

    step     trains on the next batch
    parts    seconds of each part of every step so far
    losses   of every step so far
    """

    name: str
    learner: Any
    batches: Sequence[Batch]
    lr: float
    parts: list[dict[str, float]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._watch = Stopwatch(self.learner.model, self.learner.optimizer)

    def step(self) -> None:
        """One optimiser step, selection included."""
        number = len(self.losses)
        batch = self.batches[number % len(self.batches)]
        self._watch.start()
        self.learner.step(number, [batch], self.lr)
        self.parts.append(self._watch.stop())
        self.losses.append(_loss(self.learner))

    def logits(self, images: Tensor) -> Tensor:
        """[B, 3, S, S] → [B, classes], in evaluation mode, which leaves everything as it is."""
        network = self.learner.model.eval()
        with torch.no_grad():
            logits: Tensor = network(images)
        network.train()
        return logits


class Stopwatch:
    """Seconds of a step's parts, from hooks: no learner needs to know.

    forward     the network, without a selection in it
    backward    from its end to the optimiser: loss, gradients, sums for the log
    optimiser   its step
    selection   what follows, or happens in the forward pass
    """

    def __init__(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self._at: dict[str, float] = {}
        self._selecting = 0.0
        network.register_forward_pre_hook(lambda *_: self._mark("forward"))
        network.register_forward_hook(lambda *_: self._mark("backward"))
        optimizer.register_step_pre_hook(lambda *_: self._mark("optimiser"))
        optimizer.register_step_post_hook(lambda *_: self._mark("end"))
        for rectangle in getattr(network, "rectangles", list)():
            rectangle.register_forward_pre_hook(lambda *_: self._mark("selection"))
            rectangle.register_forward_hook(lambda *_: self._selected())

    def start(self) -> None:
        """A step begins."""
        self._at, self._selecting = {}, 0.0

    def stop(self) -> dict[str, float]:
        """The step has ended: seconds of each of `PARTS`."""
        end, at, inside = time.perf_counter(), self._at, self._selecting
        return {
            "forward": at["backward"] - at["forward"] - inside,
            "backward": at["optimiser"] - at["backward"],
            "optimiser": at["end"] - at["optimiser"],
            "selection": end - at["end"] + inside,
        }

    def _mark(self, part: str) -> None:
        self._at[part] = time.perf_counter()

    def _selected(self) -> None:
        self._selecting += time.perf_counter() - self._at["selection"]


def configuration(network: str, batch: int, backend: str, more: Sequence[str] = ()) -> Config:
    """The configuration of a network, by its name in `NETWORKS`."""
    overrides = [f"model.backend={backend}", f"training.batch_size={batch}", "training.device=cpu", *more]
    return dg.load_config(CONFIGS / f"{NETWORKS[network]}.yaml", overrides)


def contender(name: str, network: str, batch: int, batches: Sequence[Batch]) -> Contender:
    """A learner by its name in `CONTENDERS`, at its first step; all start from the same numbers."""
    cfg = configuration(network, batch, "dense" if name == "original" else name)
    if name == "original":
        model: Any = build_model(cfg)
        untie(model)
        learner: Any = OriginalLearner(model, cfg.optimizer)
    else:
        learner = Learner(cfg, World(0, 1, torch.device("cpu")))
        untie(learner.model)
    return Contender(name, learner, batches, cfg.optimizer.lr)


@torch.no_grad()
def untie(model: WiredNetwork) -> None:
    """Make weights a little smaller that are as strong as the weakest selected edge, but outside the wiring.

    Among millions of weights in float32 there are such; which of them a sort keeps is not determined.
    """
    for wired in model.body_stages():
        strength = wired.weight.abs()
        tied = strength == strength[wired.selected].amin()
        tied[wired.selected] = False
        wired.weight[tied] *= 0.999


def missing(names: Sequence[str]) -> dict[str, str]:
    """Which contenders cannot be run here, and why."""
    reasons = {}
    for name in names:
        if name in ("original", "auto"):
            continue
        try:
            find_backend(name)
        except InputError as error:
            reasons[name] = str(error)
    return reasons


def images_of(network: str, batch: int, count: int) -> tuple[list[Batch], str]:
    """The first `count` training batches of Fashion-MNIST, and of what; of digits where it is missing."""
    cfg = configuration(network, batch, "auto")
    options = {"image_size": cfg.model.image_size, "num_classes": cfg.model.num_classes}
    options |= {"seed": cfg.training.seed}
    try:
        data: Any = open_data(cfg.data, **options).batches("train", batch)  # type: ignore[arg-type]
    except InputError:
        digits = cfg.data.model_copy(update={"dataset": "digits"})
        data = open_data(digits, **options).batches("train", batch)  # type: ignore[arg-type]
    found: list[Batch] = []
    for epoch in range(count):
        for each in data.epoch(epoch):
            found.append(each)
            if len(found) == count:
                return found, data.source
    return found, data.source


def resolved(learner: Any) -> dict[str, str]:
    """The backend that each stage uses, by the stage's name."""
    stages: Callable[[], Any] = getattr(learner.model, "wired_stages", list)
    return {name: stage.resolved_backend(torch.float32) for name, stage in stages()}


def wirings(learner: Any) -> dict[str, Tensor]:
    """Ids of every stage's selected edges, by the stage's number."""
    if isinstance(learner, OriginalLearner):
        return {str(number): each.wiring() for number, each in enumerate(learner.model.rectangles())}
    return {str(number): each.selected for number, each in enumerate(learner.model.body_stages())}


def differing(one: Any, other: Any) -> int:
    """Edges of one learner's wiring that the other's does not have."""
    mine, theirs = wirings(one), wirings(other)
    return sum(int((~torch.isin(mine[stage], theirs[stage])).sum()) for stage in mine)


def _loss(learner: Any) -> float:
    """Mean loss of the last step."""
    if isinstance(learner, OriginalLearner):
        return learner.loss
    loss, _, _ = learner.window.read(learner.world)
    learner.window.clear()
    return loss
