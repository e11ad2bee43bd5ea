"""`dg.compile`: the inference network that does exactly the counted work."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from dnw_graph.engine.engine import Engine, Plan
from dnw_graph.engine.plan_limits import lacks
from dnw_graph.engine.plan_steps import plan_of
from dnw_graph.errors import InputError
from dnw_graph.inference.by_steps import BySteps, ConstantPart
from dnw_graph.inference.profile import OperationTime, profiled
from dnw_graph.message_passing import usable_backend
from dnw_graph.message_passing.executed import Executed, record, recording
from dnw_graph.models.batch import check_batch, refuse_tracers
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.native.tables import Tables
from dnw_graph.program.cost import cost
from dnw_graph.program.layers import Choice
from dnw_graph.program.program import IMAGES, LOGITS
from dnw_graph.program.split import split
from dnw_graph.shown import Rows, Shown, counted

# Sizes of images whose constant maps and plans are kept, the last ones that came.
_KEPT_SIZES = 8


def compile(model: nn.Module, backend: str = "auto") -> CompiledNetwork:
    """An inference network with the same logits as `model` in eval mode, and nothing that they do not need.

    Dead nodes and edges are gone, in the stem and the classifier too; constant nodes are folded
    into constant maps, made for the input size seen; batch norms are one scale and shift.
    The model may change afterwards; the compiled network keeps what it was made from.

    backend  message passing by `dgl`, `csr`, `dense` or `triton`; `native`: the whole network in one call of
             C, or step by step with the C kernels if the engine lacks one of its steps (`engine_lacks`);
             auto: native, csr or dense, by density
    Raises InputError if the model is not wired or the backend cannot be used.
    """
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{type(model).__name__} has no wiring to compile; give a wired network")
    if not isinstance(backend, str):
        raise InputError(f"backend is a {type(backend).__name__}; give the name of one, or auto")
    if backend != "auto":
        weight = model.body_stages()[0].weight
        usable_backend(backend, weight.device, weight.dtype)
    return CompiledNetwork(model, backend)


class CompiledNetwork(Shown, nn.Module):
    """Images [B, 3, S, S] → logits [B, classes], without gradients.

    program   what it computes, live channels only
    The executed multiply-accumulates are recorded by each launch from the operands it is given.
    """

    @torch.no_grad()
    def __init__(self, model: WiredNetwork, backend: str) -> None:
        super().__init__()
        edges = sum(wired.selected.numel() for wired in model.body_stages())
        self._choice = Choice(backend, edges, model.layout.num_candidates)
        live, constant = split(lower(model))
        self.part = BySteps(live, self._choice)
        self.program = self.part.program
        self.constants = ConstantPart(constant)
        self.engine_lacks = lacks(self.program)
        like = model.body_stages()[0].weight
        self.register_buffer("_like", like.new_zeros(()), persistent=False)
        self._only_size = model.only_size
        self._given: dict[tuple[object, ...], dict[str, Tensor]] = {}
        self._engine = Engine(self._plan, _KEPT_SIZES)
        self.to(like.device, like.dtype)
        self.eval()
        self._given_for(model.image_size, model.image_size)

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, classes]."""
        if torch.compiler.is_compiling():
            # torch.export and torch.compile follow the steps, whose launches are operators that they know.
            self._check(images)
            return self.part.logits(images, self._given_for(*images.shape[2:]))
        return self.run(images)[0]

    @torch.no_grad()
    def run(self, images: Tensor) -> tuple[Tensor, Executed]:
        """Logits, and the multiply-accumulates requested from the kernels; `.macs` is per image."""
        self._check(images)
        if self._runs_natively():
            return self._run_native(images)
        given = self._given_for(*images.shape[2:])
        with recording(images.shape[0]) as executed:
            logits = self.part.logits(images, given)
        _last_executed(self)[0] = executed.macs
        return logits, executed

    @torch.no_grad()
    def profile(self, images: Tensor, calls: int = 20) -> list[OperationTime]:
        """What each operation of the engine does for an image, and its seconds, the median of some calls.

        images  [1, C, S, S]
        Seconds are those of the calling thread, one of a team; last comes what it waits for the others.
        Raises InputError if the network does not run in the engine, or the image does not fit it.
        """
        self._check(images)
        if type(calls) is not int or not 1 <= calls <= 10**6:
            given = calls if isinstance(calls, int) else f"a {type(calls).__name__}"
            raise InputError(f"calls is {given}; give a number from 1 to {10**6}")
        if not self._runs_natively():
            why = f": the engine lacks {self.engine_lacks}" if self.engine_lacks else ""
            raise InputError(f"a profile is of backend native only; this network runs on {self.backend}{why}")
        self._check_native(images)
        _, channels, height, width = images.shape
        plan = self._engine.plan((channels, height, width))
        return profiled(plan, images.detach().contiguous().numpy(), torch.get_num_threads(), calls)

    def _runs_natively(self) -> bool:
        # The C kernels know float32 only: where autocast asks for less, `auto` leaves the choice to torch.
        wants_less = self._choice.asked == "auto" and torch.is_autocast_enabled("cpu")
        return self.backend == "native" and not wants_less and self.engine_lacks is None

    def _run_native(self, images: Tensor) -> tuple[Tensor, Executed]:
        """The same in one call of C."""
        self._check_native(images)
        # A plan that is made on the way evaluates constant nodes, which is no work of this call.
        logits, macs = self._engine.run(images.detach().numpy(), torch.get_num_threads())
        with recording(images.shape[0]) as executed:
            record(macs)
        _last_executed(self)[0] = executed.macs
        return torch.from_numpy(logits), executed

    def _check(self, images: Tensor) -> None:
        refuse_tracers(images)
        check_batch(images, self._like, self._only_size)  # type: ignore[arg-type]

    def _check_native(self, images: Tensor) -> None:
        channels = self.program.channels[IMAGES]
        if images.dtype != torch.float32 or images.device.type != "cpu" or images.shape[1] != channels:
            raise InputError(
                f"images are {images.dtype} {list(images.shape)} on {images.device}; backend native wants "
                f"float32 [B, {channels}, H, W] on the cpu"
            )

    def tables(self, image: tuple[int, int, int], **options: int) -> Tables:
        """The engine's plan for images [C, H, W], as tables; options: those of `plan_of`."""
        given = {name: maps.numpy() for name, maps in self._given_for(*image[1:]).items()}
        return plan_of(self.program, given, image, **options)

    def _plan(self, image: tuple[int, int, int]) -> Plan:
        return Plan(self.tables(image), self.program.channels[LOGITS])

    def shown(self) -> tuple[str, Rows]:
        size, steps = self.program.image_size, counted(sum(1 for _ in self.program.flat()), "step")
        how = "one call of C" if self._runs_natively() else f"step by step ({steps})"
        work = cost(self.program)
        return "CompiledNetwork", [
            ("backend", f"{self.backend}, {how}"),
            ("parameters", f"{work.params:,}"),
            ("MACs", f"{work.macs:,} per image of {size}×{size} pixels"),
            ("classes", f"{self.program.channels[LOGITS]:,}"),
        ]

    @property
    def backend(self) -> str:
        """The backend that passes messages outside autocast."""
        return self.resolved_backend(self._like.dtype)  # type: ignore[arg-type]

    def resolved_backend(self, dtype: torch.dtype) -> str:
        """The backend that passes messages of this dtype, by name."""
        return self._choice.resolved(self._like.device, dtype)  # type: ignore[arg-type]

    @property
    def executed_macs(self) -> int:
        """MACs per image of this thread's last call; 0 before the first."""
        return _last_executed(self)[0]

    @torch.no_grad()
    def _given_for(self, height: int, width: int) -> dict[str, Tensor]:
        """What constant nodes send, for images of [height, width]; made once per size."""
        like = self._like
        assert isinstance(like, Tensor)
        key = (height, width, like.device, like.dtype)
        found = self._given.get(key)
        if found is None:
            found = self.constants(like.new_zeros(1, self.program.channels[IMAGES], height, width))
            while len(self._given) >= _KEPT_SIZES:
                self._given.pop(next(iter(self._given)), None)
            self._given[key] = found
        return found


_threads = threading.local()


def _last_executed(network: CompiledNetwork) -> list[int]:
    if not hasattr(_threads, "executed"):
        _threads.executed = WeakKeyDictionary()
    return _threads.executed.setdefault(network, [0])
