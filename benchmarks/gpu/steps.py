"""Whole networks: training steps and inference, by every backend, the 2019 method and number format."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import dnw_graph as dg
from benchmarks.gpu.kernels import backends_here
from benchmarks.gpu.network_checks import waits
from benchmarks.gpu.timing import DEVICE, FORMATS, Call, Clock, median_seconds, numbers, peak_bytes, release
from benchmarks.peers.masked_dense import MaskedDense
from benchmarks.peers.original_training import Original
from dnw_graph.inference import CompiledNetwork
from dnw_graph.inference.cuda_graph import capture
from dnw_graph.models.heads import LinearHead
from dnw_graph.models.mobilenet_v1 import mobilenet_v1
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.tiny_static import tiny_static

Contenders = dict[str, Call]
_CAPTURED = " as a CUDA graph"
# Images per step, with the classes and side of the images.
BATCHES = {"×0.225": (64, 256, 1), "×0.49": (64, 256, 1), "tiny static": (512,)}


def subjects(smoke: bool) -> dict[str, Subject]:
    """The networks that are timed, by name, on the device."""
    if smoke:
        small = mobilenet_v1(rule="top_k", num_classes=3, image_size=8, density=0.5, blocks=((2, 3, 2, 2),))
        return {"×0.225": Subject("×0.225", small.to(DEVICE))}
    found = {
        f"×{width}": mobilenet_v1(rule="top_k", num_classes=1000, image_size=224, width=width)
        for width in (0.225, 0.49)
    }
    found["tiny static"] = tiny_static(rule="top_k", num_classes=10, edges=32000)
    return {name: Subject(name, model.to(DEVICE)) for name, model in found.items()}


def batches(name: str, smoke: bool) -> tuple[int, ...]:
    """Numbers of images per call."""
    return (2,) if smoke else BATCHES[name]


class Subject:
    """A network with what is made of it, once: compiled networks, and its twins by the 2019 method."""

    def __init__(self, name: str, model: WiredNetwork) -> None:
        self.name, self.model = name, model
        self._compiled: dict[str, CompiledNetwork] = {}

    @cached_property
    def original(self) -> nn.Module:
        """In training, with selection in every forward pass."""
        twin = Original(copy.deepcopy(self.model).cpu()).train()
        return twin.to(DEVICE, memory_format=torch.channels_last)

    @cached_property
    def masked(self) -> nn.Module:
        """For inference, masked once; of networks with a linear head."""
        return MaskedDense(copy.deepcopy(self.model)).to(memory_format=torch.channels_last)

    def compiled(self, backend: str) -> CompiledNetwork:
        """By one backend."""
        if backend not in self._compiled:
            self._compiled[backend] = dg.compile(self.model, backend=backend)
        return self._compiled[backend]


def records(kind: str, subject: Subject, batch: int, rounds: int, clock: Clock) -> Iterator[dict[str, Any]]:
    """Seconds and peak bytes of one call, `training` or `inference`, per contender and number format."""
    side = subject.model.image_size
    images = torch.randn(batch, 3, side, side, device=DEVICE)
    for form in FORMATS:
        if clock.left() < 0:
            return
        calls = (_training if kind == "training" else _inference)(subject, images, form)
        seconds, reasons = median_seconds(calls, rounds)
        for contender, call in calls.items():
            # The memory of a captured call is its graph's.
            weighs = contender in seconds and not contender.endswith(_CAPTURED)
            yield {
                "kind": kind,
                "network": subject.name,
                "batch": batch,
                "contender": contender,
                "format": form,
                "seconds": seconds.get(contender),
                "peak bytes": peak_bytes(call) if weighs else None,
                "not run": reasons.get(contender),
            }
        # All that holds graphs and momenta.
        del calls, call
        release()


def waiting(subject: Subject, batch: int) -> Iterator[dict[str, Any]]:
    """Whether the host waits for the device in a training step of each backend, as far as torch sees."""
    side = subject.model.image_size
    images = torch.randn(batch, 3, side, side, device=DEVICE)
    subject.model.train()
    for name in backends_here(torch.float32):
        step = _step(subject.model, images, "float32", name)
        yield {"network": subject.name, "backend": name, "waits": waits(step)}


def _training(subject: Subject, images: Tensor, form: str) -> Contenders:
    subject.model.train()
    names = backends_here(torch.bfloat16 if form == "bf16" else torch.float32)
    calls = {name: _step(subject.model, images, form, name) for name in names}
    pixels_first = images.to(memory_format=torch.channels_last)
    return calls | {"2019 method": _later(lambda: _step(subject.original, pixels_first, form, None))}


def _step(model: Any, images: Tensor, form: str, backend: str | None) -> Call:
    """One optimiser step, selection included."""
    labels = torch.arange(images.shape[0], device=DEVICE) % 3
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9, weight_decay=1e-4)

    def step() -> None:
        if backend is not None:
            _pass_messages_by(model, backend)
        optimizer.zero_grad(set_to_none=True)
        with numbers(form):
            F.cross_entropy(model(images).float(), labels).backward()
        optimizer.step()
        if backend is not None:
            model.rewire(1)

    return step


def _inference(subject: Subject, images: Tensor, form: str) -> Contenders:
    def by(backend: str) -> Call:
        return _later(lambda: _call(subject.compiled(backend), images, form))

    def captured(backend: str) -> Call:
        return _later(lambda: _captured(subject.compiled(backend), images, form))

    names = backends_here(torch.bfloat16 if form == "bf16" else torch.float32)
    calls = {name: by(name) for name in names}
    if DEVICE.type == "cuda":
        calls |= {name + _CAPTURED: captured(name) for name in names if name in ("triton", "dense")}
    if isinstance(subject.model.head, LinearHead):
        pixels_first = images.to(memory_format=torch.channels_last)
        calls["2019 method, masked once"] = _later(lambda: _call(subject.masked, pixels_first, form))
    return calls


def _later(make: Callable[[], Call]) -> Call:
    """Made on the first call, so that what cannot be made is reported like what cannot run."""
    made: list[Call] = []

    def call() -> None:
        if not made:
            made.append(make())
        made[0]()

    return call


def _call(network: nn.Module, images: Tensor, form: str) -> Call:
    def run() -> None:
        with numbers(form), torch.inference_mode():
            network(images)

    return run


def _captured(network: CompiledNetwork, images: Tensor, form: str) -> Call:
    with numbers(form):
        graph = capture(network, images)
    return lambda: graph(images)


def _pass_messages_by(model: WiredNetwork, backend: str) -> None:
    for _, stage in model.wired_stages():
        stage.backend = backend
