"""`dg.compile`: the inference network that does exactly the counted work."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.inference.body import CompiledStage, stage_bases
from dnw_graph.inference.constants import ConstantMaps
from dnw_graph.inference.engine import Engine, Plan
from dnw_graph.inference.head import compile_head
from dnw_graph.inference.layers import Choice
from dnw_graph.inference.liveness import liveness
from dnw_graph.inference.plan_layers import plan_of
from dnw_graph.inference.profile import OperationTime, profiled
from dnw_graph.inference.stem import compile_stem
from dnw_graph.message_passing import usable_backend
from dnw_graph.message_passing.executed import Executed, record, recording
from dnw_graph.models.network import WiredNetwork, check_batch


def compile(model: nn.Module, backend: str = "auto") -> CompiledNetwork:
    """An inference network with the same logits as `model` in eval mode, and nothing that they do not need.

    Dead nodes and edges are gone, in the stem and the classifier too; constant nodes are folded
    into constant maps, made for the input size seen; batch norms are one scale and shift.
    The model may change afterwards; the compiled network keeps what it was made from.

    backend  message passing by `dgl`, `csr`, `dense` or `triton`; `native`: the whole network in one call of
             C; auto: native, csr or dense, by density
    Raises InputError if the model is not wired or the backend cannot be used.
    """
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{type(model).__name__} has no wiring to compile; give a wired network")
    if backend != "auto":
        weight = model.body_stages()[0].weight
        usable_backend(backend, weight.device, weight.dtype)
    return CompiledNetwork(model, backend)


@dataclass(frozen=True)
class _Constants:
    """What constant nodes add, for one size of the stem's maps; the logits' bias is in it."""

    bases: list[tuple[Tensor | None, Tensor | None]]
    logits: Tensor


class CompiledNetwork(nn.Module):
    """Images [B, 3, S, S] → logits [B, classes], without gradients.

    The executed multiply-accumulates are recorded by each launch from the operands it is given.
    """

    @torch.no_grad()
    def __init__(self, model: WiredNetwork, backend: str) -> None:
        super().__init__()
        edges = sum(wired.selected.numel() for wired in model.body_stages())
        self._choice = Choice(backend, edges, model.layout.num_candidates)
        alive = liveness(model)
        last = len(model.layout.levels) - 1
        self.stem = compile_stem(model.stem, alive.live[0])
        self.stages = nn.ModuleList(
            CompiledStage(model, wired, alive, self._choice) for wired in model.body_stages()
        )
        self.head = compile_head(model.head, alive.live[last], alive.constant[last], self._choice)
        self._constant_maps = ConstantMaps(model, alive)
        self._alive = alive
        self._layout = model.layout
        self._constants: dict[tuple[object, ...], _Constants] = {}
        self._engine = Engine(self._plan)
        self.to(model.body_stages()[0].weight.device)
        self.eval()
        self._constants_for(model.stem_side, model.stem_side)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes]."""
        return self.run(images)[0]

    @torch.no_grad()
    def run(self, images: Tensor) -> tuple[Tensor, Executed]:
        """Logits, and the multiply-accumulates that the launches were asked for; `.macs` is per image."""
        check_batch(images)
        if self._runs_natively():
            return self._run_native(images)
        with recording(images.shape[0]) as executed:
            z = self.stem(images)
        constants = self._constants_for(*z.shape[2:])
        with recording(images.shape[0], executed):
            z = z.transpose(0, 1).contiguous()
            for stage, (base, readout_base) in zip(self.stages, constants.bases, strict=True):
                z = stage(z, base, readout_base)
            logits = self.head(z, constants.logits)
        _last_executed(self)[0] = executed.macs
        return logits, executed

    @torch.no_grad()
    def profile(self, images: Tensor, calls: int = 20) -> list[OperationTime]:
        """What each operation of the engine does for an image, and its seconds, the median of some calls.

        images  [1, C, S, S]
        Seconds are those of the calling thread, one of a team; last comes what it waits for the others.
        Raises InputError if the network does not run on backend native, or the image does not fit it.
        """
        check_batch(images)
        if not self._runs_natively():
            raise InputError(f"a profile is of backend native only; this network runs on {self.backend}")
        self._check_native(images)
        return profiled(self._engine.plan(images), images, calls)

    def _runs_natively(self) -> bool:
        # The C kernels know float32 only: where autocast asks for less, `auto` leaves the choice to torch.
        wants_less = self._choice.asked == "auto" and torch.is_autocast_enabled("cpu")
        return self.backend == "native" and not wants_less

    def _run_native(self, images: Tensor) -> tuple[Tensor, Executed]:
        """The same in one call of C."""
        self._check_native(images)
        # A plan that is made on the way evaluates constant nodes, which is no work of this call.
        logits, macs = self._engine.run(images)
        with recording(images.shape[0]) as executed:
            record(macs)
        _last_executed(self)[0] = executed.macs
        return logits, executed

    def _check_native(self, images: Tensor) -> None:
        channels = self.stem.image_channels
        if images.dtype != torch.float32 or images.device.type != "cpu" or images.shape[1] != channels:
            raise InputError(
                f"images are {images.dtype} {list(images.shape)} on {images.device}; backend native wants "
                f"float32 [B, {channels}, H, W] on the cpu"
            )

    def _plan(self, image: tuple[int, int, int]) -> Plan:
        constants = self._constants_for(*self.stem.sides(*image[1:]))  # type: ignore[operator]
        stages = [stage for stage in self.stages if isinstance(stage, CompiledStage)]
        tables = plan_of(image, self.stem, stages, constants.bases, self.head, constants.logits)
        return Plan(tables, constants.logits.numel())

    @property
    def backend(self) -> str:
        """The backend that passes messages outside autocast."""
        like = self._constant_maps.like
        return self.resolved_backend(like.dtype)

    def resolved_backend(self, dtype: torch.dtype) -> str:
        """The backend that passes messages of this dtype, by name."""
        return self._choice.resolved(self._constant_maps.like.device, dtype)

    @property
    def executed_macs(self) -> int:
        """MACs per image of this thread's last call; 0 before the first."""
        return _last_executed(self)[0]

    def _constants_for(self, height: int, width: int) -> _Constants:
        """Constants for stem maps of [height, width], made once per size."""
        like = self._constant_maps.like
        key = (height, width, like.device, like.dtype)
        if key not in self._constants:
            maps = self._constant_maps(height, width)
            output = maps.received[-1]
            constant = self._alive.constant[-1].to(output.device)
            with torch.autocast(like.device.type, enabled=False):
                logits = self.head.constant_logits(output[constant])
            self._constants[key] = _Constants(stage_bases(self._layout, self._alive, maps), logits)
        return self._constants[key]


_threads = threading.local()


def _last_executed(network: CompiledNetwork) -> list[int]:
    if not hasattr(_threads, "executed"):
        _threads.executed = WeakKeyDictionary()
    return _threads.executed.setdefault(network, [0])
