"""One stage of wiring: candidate weights, the selected edges, and their message passing."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from dnw_graph.errors import InputError
from dnw_graph.graph.layout import Stage
from dnw_graph.message_passing import EdgeIndex, choose_backend, find_backend, message_passing
from dnw_graph.message_passing.stage_index import StageIndices
from dnw_graph.models.selected_ids import (
    checked,
    fault_of,
    is_transformed,
    number_entered,
    reads_at_once,
)
from dnw_graph.wiring import Rule, StageView, Threshold


class WiredStage(nn.Module):
    """Candidate weights of a stage and the wiring that its rule selects from them.

    weight    [candidates] float, the stage's one parameter
    selected  [<= budget] int64 buffer, ascending: ids of the edges that run

    What `selected` holds is what runs, whoever wrote it: the index tensors that message passing needs are
    derived from it, made with each new wiring and checked at each use. A forward pass never rewires.
    """

    weight: nn.Parameter
    selected: Tensor
    saw_nan: Tensor
    saw_wrong: Tensor

    def __init__(
        self,
        stage: Stage,
        rule: Rule,
        budget: int,
        *,
        name: str,
        seed: int,
        backend: str = "auto",
        weight_scale: float = 1.0,
    ) -> None:
        super().__init__()
        if backend != "auto":
            find_backend(backend)
        self.stage = stage
        self.rule = rule
        self.budget = budget
        self.name = name
        self.seed = seed
        self.backend = backend
        self.weight_scale = weight_scale
        self.weight = nn.Parameter(torch.empty(stage.num_candidates))
        self.register_buffer("selected", torch.empty(0, dtype=torch.int64))
        for flag in ("saw_nan", "saw_wrong"):
            # No bool, which AveragedModel(use_buffers=True) cannot average.
            self.register_buffer(flag, torch.zeros((), dtype=torch.uint8), persistent=False)
        self.gradient_every, self.gradient_sample = 1, 1.0
        self.at_step(0)
        self._threshold = Threshold()
        self._indices = StageIndices(stage.blocks, name)
        self.reset_parameters()
        self.reselect()

    def reset_parameters(self) -> None:
        """Uniform in ±weight_scale/sqrt(sources of the stage); at 1, torch's range for a 1×1 convolution."""
        reach = self.weight_scale * sum(block.num_sources for block in self.stage.blocks) ** -0.5
        generator = torch.Generator().manual_seed(self._stream("weight"))
        with torch.no_grad():
            self.weight.uniform_(-reach, reach, generator=generator)

    def _stream(self, purpose: str) -> int:
        """A seed of its own for each purpose, so that no draw depends on another."""
        return zlib.crc32(f"{self.seed}/{self.name}/{purpose}".encode())

    # The wiring

    def view(self, step: int = 0, previous: Tensor | None = None) -> StageView:
        """What the rule sees now: while it chooses or, given the wiring before, after the step."""
        moment = "rule" if previous is None else "after"
        return StageView(
            name=self.name,
            stage=self.stage,
            weight=self.weight.detach(),
            k=self.budget,
            current=self.selected,
            previous=self.selected if previous is None else previous,
            gradient=self.weight.grad,
            step=step,
            generator=torch.Generator().manual_seed(self._stream(f"{moment}/{step}")),
            threshold=self._threshold,
        )

    @torch.no_grad()
    def rewire(self, step: int = 0) -> int | Tensor:
        """`reselect`, then the rule's hook after a step. Returns the number of edges that entered.

        step  optimiser steps done, so that the next training forward belongs to step number `step` from 0
        """
        self._drop_what_is_no_wiring()
        previous = self.selected
        entered = self.reselect(step)
        self.at_step(step)
        self.rule.after_step(self.view(step, previous))
        return entered

    @torch.no_grad()
    def reselect(self, step: int = 0) -> int | Tensor:
        """Let the rule select the wiring anew. Returns the number of edges that entered.

        A rule that does not rewire is asked only while there is no wiring. On a CPU, a NaN weight raises
        FloatingPointError and what is no wiring InputError, at once. On a GPU the host does not wait: the
        number is a tensor [] int64 there, and what is wrong is told by `check_finite`.
        """
        self._drop_what_is_no_wiring()
        if not self.rule.rewires and self.selected.numel():
            return 0
        # A maximum is NaN if one value is; looking at each of them takes ten times as long.
        self.saw_nan.logical_or_(self.weight.max().isnan())
        if reads_at_once(self.weight.device):
            self.check_finite()
        chosen = self._checked(self.rule.choose(self.view(step)))
        before = self.selected
        if reads_at_once(chosen.device) and torch.equal(chosen, before):
            return 0
        self._take(chosen)
        return number_entered(before, chosen, self.stage.num_candidates)

    @torch.no_grad()
    def select(self, ids: Tensor) -> None:
        """Make `ids` [k] int64 (ascending, each once) the wiring. Waits for the device.

        Raises InputError for ids that are no wiring.
        """
        if fault := fault_of(ids, self.stage.num_candidates):
            raise InputError(f"{self.name} cannot take the selected ids: {fault}")
        self._take(ids.to(self.weight.device))

    def _take(self, ids: Tensor) -> None:
        self.selected = ids
        self._indices.update(ids, may_wait=reads_at_once(ids.device))

    def _drop_what_is_no_wiring(self) -> None:
        """Before a rule chooses: what was written into `selected` is the wiring, or there is none."""
        try:
            self._followed()
        except InputError:
            self._take(torch.empty(0, dtype=torch.int64, device=self.weight.device))

    def check_finite(self) -> None:
        """Tell what selections met since the last check, besides what was told at once. Waits for the device.

        Raises FloatingPointError for NaN among the weights, InputError for ids of a rule that are no wiring.
        """
        if bool(self.saw_nan):
            self.saw_nan.zero_()
            raise FloatingPointError(
                f"parameter {self.name}.weight holds NaN; lower optimizer.lr or add warm-up"
            )
        if bool(self.saw_wrong):
            self.saw_wrong.zero_()
            last = self.stage.num_candidates - 1
            raise InputError(
                f"rule {type(self.rule).__name__} selected an edge of {self.name} twice, or an id that is "
                f"not from 0 to {last}; return ids of candidate edges, each once"
            )

    def _checked(self, ids: Tensor) -> Tensor:
        """What a rule returned, as ascending ids on the weight's device; InputError if it is no wiring."""
        rule = f"rule {type(self.rule).__name__}"
        ids, wrong = checked(ids, self.budget, self.stage.num_candidates, rule, self.name)
        if wrong is not None:
            self.saw_wrong.logical_or_(wrong.to(self.saw_wrong.device))
        return ids.to(self.weight.device)

    # Gradient of candidate edges outside the wiring

    def thin_gradient(self, every: int, sample: float) -> None:
        """Let edges outside the wiring have gradient every so many steps, of a fraction of the images.

        every   at least 1;  sample  above 0 and at most 1; at 1 and 1, the default, all of it
        Raises InputError for a rule that gives them none.
        """
        if every < 1 or not 0 < sample <= 1:
            raise ValueError(f"every {every} must be at least 1 and sample {sample} above 0 and at most 1")
        if self.rule.reach == "selected" and (every > 1 or sample < 1):
            key = f"gradient.every {every}" if every > 1 else f"gradient.sample {sample:g}"
            raise InputError(
                f"{key} has no meaning for rule {type(self.rule).__name__}, which gives gradient to selected "
                "edges only; leave it out"
            )
        if type(self.rule).sees is not Rule.sees and every > 1:
            raise InputError(
                f"gradient.every {every} has no meaning for rule {type(self.rule).__name__}, which says by "
                "itself in which steps edges outside the wiring get gradient; leave it out"
            )
        self.gradient_every, self.gradient_sample = every, sample

    def at_step(self, step: int) -> None:
        """Say which optimiser step, from 0, the next training forwards belong to."""
        # Not the step itself: torch.compile would make a new program for each.
        self._unselected_see = step % self.gradient_every == 0 and bool(self.rule.sees(step))

    def gradient_plan(self, batch: int) -> tuple[int, float]:
        """(images, scale): what edges outside the wiring get from a batch of so many images in this step.

        images  the first ones of the batch, from 0 to `batch`, whose gradient they get; the order of a
                training batch is random, so these are a random part
        scale   factor on it. Over `gradient_every` steps and all orders its mean is the whole gradient
        Selected edges get their whole gradient in any case.
        """
        if not self._unselected_see or not batch:
            return 0, 1.0
        images = min(max(round(self.gradient_sample * batch), 1), batch)
        return images, self.gradient_every * batch / images

    # Message passing

    def resolved_backend(self, dtype: torch.dtype) -> str:
        """The backend that `auto` means for features of this dtype, or the one that was asked for."""
        if self.backend != "auto":
            return self.backend
        edges, candidates = self.selected.numel(), self.stage.num_candidates
        return choose_backend(self.weight.device, dtype, edges, candidates)

    @property
    def ids(self) -> Tensor:
        """`selected` [k] int64, the edges that run, checked: InputError if it holds no wiring."""
        self._followed()
        return self.selected

    def indices(self) -> list[EdgeIndex]:
        """Index tensors of each block's selected edges, in block order; a rewiring renews what it changed.

        Raises InputError if `selected` holds no wiring.
        """
        if torch.compiler.is_compiling():
            return self._indices.blocks_in_program(self.selected)
        return self._runnable().blocks()

    def stage_index(self) -> EdgeIndex:
        """Index tensors of all selected edges, made without waiting for the device.

        Raises InputError if `selected` holds no wiring.
        """
        if torch.compiler.is_compiling():
            return self._indices.whole_in_program(self.selected)
        return self._runnable().whole()

    def _runnable(self) -> StageIndices:
        if is_transformed():
            raise InputError(
                f"{self.name} cannot run within a transform of torch.func (grad, vmap, jvp); use backward() "
                "or torch.autograd.grad, with one call per network, or per image for gradients of images"
            )
        return self._followed()

    def _followed(self) -> StageIndices:
        """Index tensors of what `selected` holds now; those at hand, unless it was written meanwhile."""
        ids = self.selected
        if not self._indices.hold(ids):
            if fault := fault_of(ids, self.stage.num_candidates):
                raise InputError(
                    f"{self.name} cannot run, for its buffer selected is no wiring: {fault}; "
                    "call rewire() to choose one from the weights"
                )
            self._indices.update(ids, may_wait=reads_at_once(ids.device))
        return self._indices

    def block_weights(self) -> list[Tensor]:
        """The values messages are multiplied by, one vector [T·S] per block; differentiable."""
        return list(torch.split(self.effective(), [block.size for block in self.stage.blocks]))

    def effective(self, weight: Tensor | None = None) -> Tensor:
        """What the rule makes of the candidate weights [candidates], or of others; differentiable.

        Raises InputError, naming the rule, if it gives anything but one number per candidate.
        """
        if self._forward_pre_hooks and {"weight_orig", "weight_v"} & set(self._parameters):
            raise InputError(
                f"{self.name}.weight was replaced by torch.nn.utils, to be made anew by a hook, and hooks "
                "of a stage do not run; use torch.nn.utils.parametrize.register_parametrization(stage, "
                "'weight', …), or a rule that prunes"
            )
        values = self.rule.effective(self.weight if weight is None else weight)
        is_tensor = isinstance(values, Tensor)
        if not is_tensor or values.shape != self.weight.shape or not values.is_floating_point():
            found = f"{values.dtype} {list(values.shape)}" if is_tensor else type(values).__name__
            raise InputError(
                f"rule {type(self.rule).__name__}: effective gave {found} for {self.name}; floats "
                f"{list(self.weight.shape)} wanted, one per candidate edge"
            )
        return values

    def send(self, index: EdgeIndex, weight: Tensor, h: Tensor, base: Tensor | None) -> Tensor:
        """z_v = base_v + Σ w_uv · h_u over the selected edges of one block.

        h [sources, B, H, W] → [targets, B, H, W]; weight as given by `block_weights`.
        """
        images, factor = self.gradient_plan(h.shape[1])
        return message_passing(
            h,
            weight.to(h.dtype),
            index.pointer,
            index.source,
            index.position,
            None if base is None else base.to(h.dtype),
            self.rule.reach,
            self.resolved_backend(h.dtype),
            images,
            factor,
        )

    # State

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        key, errors = prefix + "selected", args[-1]
        ids = state_dict.get(key)
        if isinstance(ids, Tensor):
            if fault := fault_of(ids, self.stage.num_candidates):
                errors.append(f"{key} is no wiring of {self.stage.num_candidates} candidates: {fault}")
                return
            # Wirings differ in size from file to file; a buffer is otherwise refused for its shape.
            self.selected = ids.new_empty(ids.shape, device=self.weight.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._renew_if_valid()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> WiredStage:
        # `.to(device)` moves the buffer; what follows from it moves along.
        super()._apply(fn, recurse)
        self._renew_if_valid()
        return self

    def _replicate_for_data_parallel(self) -> WiredStage:
        # Replicas live on several devices at once.
        replica = super()._replicate_for_data_parallel()
        replica._indices = StageIndices(self.stage.blocks, self.name)
        return replica

    def _renew_if_valid(self) -> None:
        """At once, for a compiled network; what is no wiring is refused when it is used."""
        with suppress(InputError):
            self._followed()

    def extra_repr(self) -> str:
        return (
            f"{self.name}, edges={self.selected.numel()}/{self.stage.num_candidates}, backend={self.backend}"
        )
