"""What one training step changes: model, wiring, optimiser, averaged weights, sums."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.config.schema import Config
from dnw_graph.errors import InputError
from dnw_graph.message_passing import find_backend
from dnw_graph.models import is_wired
from dnw_graph.models.registry import build_model
from dnw_graph.runs.checkpoint import read_tensors
from dnw_graph.runs.rule_state import restore_rule_state, rule_state
from dnw_graph.runs.state import damaged
from dnw_graph.runs.weights import load_weights, restore_wiring_facts
from dnw_graph.training.decay import parameter_groups, selected_decay
from dnw_graph.training.distributed import World
from dnw_graph.training.ema import AveragedWeights
from dnw_graph.training.metrics import Tally
from dnw_graph.training.random_state import seed_all

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_MOMENTUM = "momentum_buffer"


class Learner:
    """A model in training.

    model    the network itself; `parallel` is what the loss runs through (the same, or DDP around it)
    window   sums since the last record;  epoch  sums of the epoch up to the last record
    swaps    edges that entered the wiring since the last record; on a GPU a tensor: only `int` waits for it
    """

    def __init__(self, cfg: Config, world: World) -> None:
        self.cfg, self.world = cfg, world
        check_precision(cfg.training.precision, world.device)
        seed_all(cfg.training.seed)
        network = build_model(cfg).to(world.device)
        self.model: Any = network
        self.wired = is_wired(network)
        if self.wired:
            check_backend(cfg.model.backend, cfg.training.precision, world.device)
        if cfg.training.sync_norm and world.size > 1:
            synchronise_norm(self.model)
        seed_all(cfg.training.seed + world.rank)
        self.average = (
            None if cfg.training.ema_decay is None else AveragedWeights(self.model, cfg.training.ema_decay)
        )
        self.parallel: Any = network
        if world.size > 1:
            self.parallel = nn.parallel.DistributedDataParallel(self.model)
            # Running statistics are per rank; World.share_statistics makes rank 0's count before evaluation.
            # Set here, for the argument of this name is deprecated and its successor unknown to older torch.
            self.parallel.broadcast_buffers = False
        options = cfg.optimizer
        self.optimizer = torch.optim.SGD(
            parameter_groups(self.model, options),
            lr=options.lr,
            momentum=options.momentum,
            nesterov=options.nesterov,
        )
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=cfg.training.precision == "fp16")
        self.window, self.epoch = Tally(world.device), Tally(world.device)
        self.swaps: int | Tensor = 0

    def step(self, step: int, parts: Iterable[tuple[Tensor, Tensor]], lr: float) -> None:
        """Optimiser step number `step` (from 0) on one batch, given in `training.accumulate` equal parts.

        parts  (images float32 [B, 3, S, S], labels int64 [B]) of this rank
        Raises FloatingPointError when the selection meets a weight that is not a number.
        """
        options, device = self.cfg.training, self.world.device
        self.optimizer.zero_grad(set_to_none=True)
        if self.wired:
            for _, stage in self.model.wired_stages():
                stage.at_step(step)
        for number, (images, labels) in enumerate(parts, start=1):
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            last = number == options.accumulate
            with nullcontext() if last or self.world.size == 1 else self.parallel.no_sync():
                with self.autocast():
                    logits = self.parallel(images)
                losses = F.cross_entropy(
                    logits.float(), labels, label_smoothing=options.label_smoothing, reduction="none"
                )
                self.scaler.scale(losses.mean() / options.accumulate).backward()
            self.window.add(losses, logits, labels)
        self.scaler.unscale_(self.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        with selected_decay(self.model, self.cfg.optimizer):
            self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.wired:
            self.swaps += self.model.rewire(step + 1)
        if self.average is not None:
            self.average.update(self.model)

    def autocast(self) -> Any:
        """The number format of the forward pass, as a context."""
        return autocast(self.cfg.training.precision, self.world.device)

    def evaluated(self, step: int) -> nn.Module:
        """The network that scores count for: the averaged one if there is one."""
        return self.model if self.average is None else self.average.model(self.model, step)

    def check_finite(self) -> None:
        """Raise FloatingPointError unless sums, weights and running statistics are finite. A collective."""
        if not bool(torch.isfinite(self.world.total(self.window.sums)).all()):
            raise FloatingPointError("the training loss is not finite")
        if name := first_not_finite(self.model.state_dict()):
            raise FloatingPointError(f"{name} is not finite")
        if self.wired:
            self.model.check_finite()

    def tensors(self, step: int) -> dict[str, dict[str, Tensor]]:
        """Everything that a checkpoint stores as tensors, by file."""
        momentum = {
            f"{_MOMENTUM}.{name}": self.optimizer.state[parameter][_MOMENTUM]
            for name, parameter in self.model.named_parameters()
            if self.optimizer.state[parameter].get(_MOMENTUM) is not None
        }
        groups = {"model": dict(self.model.state_dict()), "optimizer": momentum}
        if remembered := rule_state(self.model):
            groups["rule"] = remembered
        return groups if self.average is None else groups | {"ema": dict(self.evaluated(step).state_dict())}

    def scalars(self) -> dict[str, Any]:
        """Everything else that is the same on all ranks, JSON-able."""
        steps = 0 if self.average is None else self.average.steps
        return {"scaler": self.scaler.state_dict(), "averaged_steps": steps, "swaps": int(self.swaps)}

    def sums(self) -> dict[str, Any]:
        """What differs between ranks, JSON-able."""
        return {"window": self.window.state(), "epoch": self.epoch.state()}

    def load(self, directory: Path, state: Mapping[str, Any]) -> None:
        """Take everything back from a checkpoint. Raises InputError if it does not fit this network."""
        load_weights(self.model, read_tensors(directory, "model", state), directory / "model.safetensors")
        restore_wiring_facts(self.model, state.get("wiring"), directory / "state.json")
        if "rule.safetensors" in state["files"]:
            restore_rule_state(self.model, read_tensors(directory, "rule", state))
        if self.average is not None:
            averaged, steps = read_tensors(directory, "ema", state), state["learner"]["averaged_steps"]
            self.average.load_state(averaged, steps, directory / "ema.safetensors")
        momentum = read_tensors(directory, "optimizer", state)
        for name, parameter in self.model.named_parameters():
            value = momentum.get(f"{_MOMENTUM}.{name}")
            if value is not None:
                if value.shape != parameter.shape:
                    raise InputError(
                        f"{directory / 'optimizer.safetensors'}: momentum of {name} has shape "
                        f"{list(value.shape)} instead of {list(parameter.shape)}; this checkpoint belongs to "
                        "another network."
                    )
                self.optimizer.state[parameter][_MOMENTUM] = value.to(parameter.device)
        scaler = state["learner"]["scaler"]
        if lacking := sorted(set(self.scaler.state_dict()) - set(scaler)):
            raise damaged(directory / "state.json", f"learner.scaler lacks {lacking[0]}")
        self.scaler.load_state_dict(scaler)
        self.swaps = state["learner"]["swaps"]
        mine = state["ranks"][self.world.rank]
        self.window.load_state(mine["window"])
        self.epoch.load_state(mine["epoch"])


def autocast(precision: str, device: torch.device) -> Any:
    """training.precision on a device, as a context for forward passes."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=PRECISIONS[precision])


def check_precision(precision: str, device: torch.device) -> None:
    """Raise InputError for a number format that the device cannot train in."""
    if precision == "fp16" and device.type != "cuda":
        raise InputError(
            f"training.precision fp16 needs a CUDA device, and this run is on {device.type}; use float32 or "
            "bf16."
        )


def check_backend(backend: str, precision: str, device: torch.device) -> None:
    """Raise InputError for a backend, given by name, that cannot pass messages in this number format."""
    refusal = None if backend == "auto" else find_backend(backend).refusal(device, PRECISIONS[precision])
    if refusal is not None:
        raise InputError(
            f"model.backend {backend} cannot train on {device.type} with training.precision {precision}: "
            f"{refusal}"
        )


def synchronise_norm(model: Any) -> None:
    """Take batch statistics over all ranks. Raises InputError for networks that cannot."""
    if not hasattr(model, "synchronise_norm"):
        raise InputError(
            f"training.sync_norm true: {type(model).__name__} has no synchronised batch norm for several "
            "processes; set it to false (batch statistics per process)."
        )
    model.synchronise_norm()


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Name of the first tensor with a value out of range. Waits for the device once."""
    floats = {name: value for name, value in tensors.items() if value.is_floating_point()}
    flags = torch.stack([torch.isfinite(value).all() for value in floats.values()])
    return next((name for name, fine in zip(floats, flags.tolist(), strict=True) if not fine), None)
