"""What a training step of ours is made of: time of each part beside its counted work.

Time comes from torch's profiler. `_CALLS` and `_OPERATORS` say which functions and operators belong to which
part; names that do not exist are passed over, so a new way to run a stage needs a line here and no more.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from typing import Any

from torch import nn
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile

from benchmarks.training.contenders import Contender
from benchmarks.training.work import (
    CANDIDATES,
    HEAD,
    MESSAGES,
    MESSAGES_BACK,
    NODES,
    NODES_BACK,
    OPTIMISER,
    SELECTION,
    STATES,
    STATES_BACK,
    STEM,
    work,
)

REST = "everything else"

# module:function → part; what runs in it belongs to the innermost of them.
_CALLS = {
    "dnw_graph.node_operation.native:NativeNodeKernels.statistics": NODES,
    "dnw_graph.node_operation.native:NativeNodeKernels.forward": NODES,
    "dnw_graph.node_operation.native:NativeNodeKernels.backward": NODES_BACK,
    "dnw_graph.message_passing.native:Native.send": MESSAGES,
    "dnw_graph.message_passing.native:Native.send_back": MESSAGES_BACK,
    "dnw_graph.message_passing.native_stage:ImageStage.forward": STATES,
    "dnw_graph.message_passing.native_stage:ImageStage.backward": STATES_BACK,
    "dnw_graph.message_passing.edge_gradient:EdgeGradient.add": CANDIDATES,
    "dnw_graph.models.node_operation:NodeOperation.forward": NODES,
    "dnw_graph.models.network:WiredNetwork.rewire": SELECTION,
}
# Operator or scope, the whole name → part.
_OPERATORS = {
    r"dnw_graph::message_passing": MESSAGES,
    r"dnw_graph::send_back": MESSAGES_BACK,
    r"dnw_graph::edge_gradient": CANDIDATES,
    r"Optimizer\.step#.*": OPTIMISER,
    r"aten::(cross_entropy_loss|log_softmax|nll_loss.*|argmax)": HEAD,
}
# Parts of one way or the other to run a stage.
_WAYS = {NODES, MESSAGES, STATES, NODES_BACK, MESSAGES_BACK, STATES_BACK}
# Where a part's work belongs in the backward pass: its gradients, and what is done anew for them.
_BACKWARD = {NODES: NODES_BACK, MESSAGES: MESSAGES_BACK}
_SCOPE = "part: "
_EVALUATE = "autograd::engine::evaluate_function"


def step_parts(contender: Contender, ceilings: dict[str, float], steps: int) -> list[dict[str, Any]]:
    """Each part that ran: seconds (median over steps), share of the step, FLOPs, bytes and the least seconds.

    flops, bytes  of one step; every operand read once and every result written once
    least         what the machine's matrix product or memory needs for them, whichever is more (`bound`)
    """
    model = contender.learner.model
    contender.step()
    measured = [_one_step(contender) for _ in range(steps)]
    total = statistics.median(sum(one.values()) for one in measured)
    done = work(model, len(contender.batches[0][0]))
    found = []
    for part in (
        STEM,
        NODES,
        MESSAGES,
        STATES,
        HEAD,
        CANDIDATES,
        STATES_BACK,
        MESSAGES_BACK,
        NODES_BACK,
        OPTIMISER,
        SELECTION,
        REST,
    ):
        seconds = statistics.median(one[part] for one in measured)
        if not seconds and part in _WAYS:
            continue
        flops, moved = done.get(part, (0, 0))
        products, memory = flops / ceilings["sgemm"] / 1e9, moved / ceilings["copy"] / 1e9
        found.append(
            {
                "part": part,
                "seconds": seconds,
                "share": seconds / total,
                "flops": flops,
                "bytes": moved,
                "least": max(products, memory),
                "bound": "–" if not moved else "products" if products > memory else "memory",
            }
        )
    return found


def _one_step(contender: Contender) -> Counter[str]:
    """Seconds of every part of one step."""
    model = contender.learner.model
    with ExitStack() as stack:
        for path, part in _CALLS.items():
            stack.enter_context(_marked(path, part))
        for part, module in ((STEM, model.stem), (HEAD, model.head)):
            stack.enter_context(_marked_module(module, part))
        recorded = stack.enter_context(profile(activities=[ProfilerActivity.CPU]))
        with record_function(_SCOPE + REST):
            contender.step()
    return _attributed(recorded.events())


def _attributed(events: Any) -> Counter[str]:
    """Every event's own time, given to the part of its nearest scope."""
    parts: dict[int, str] = {}
    backward: set[int] = set()
    forward: dict[int, str] = {}
    seconds: Counter[str] = Counter()
    for event in sorted(events, key=lambda event: (event.time_range.start, -event.time_range.end)):
        above = event.cpu_parent
        part = parts.get(id(above), "") if above is not None else ""
        named = _part_of(event.name)
        if event.name.startswith(_EVALUATE):
            backward.add(id(event))
            part = forward.get(event.sequence_nr, REST)
        elif named:
            part = named
        elif event.sequence_nr >= 0 and id(above) not in backward:
            forward[event.sequence_nr] = part
        if id(above) in backward:
            backward.add(id(event))
        if id(event) in backward:
            part = _BACKWARD.get(part, part)
        if not part:
            continue  # Before or after the step.
        parts[id(event)] = part
        seconds[part] += event.self_cpu_time_total / 1e6
    return seconds


def _part_of(name: str) -> str:
    if name.startswith(_SCOPE):
        return name.removeprefix(_SCOPE)
    return next((part for pattern, part in _OPERATORS.items() if re.fullmatch(pattern, name)), "")


@contextmanager
def _marked(path: str, part: str) -> Iterator[None]:
    """A function or method, by its path, inside a scope of its part."""
    module, _, names = path.partition(":")
    *owners, name = names.split(".")
    try:
        owner: Any = import_module(module)
        for each in owners:
            owner = getattr(owner, each)
        original = vars(owner)[name]
    except (ImportError, AttributeError, KeyError):
        yield
        return
    setattr(owner, name, _within(original, part))
    yield
    setattr(owner, name, original)


@contextmanager
def _marked_module(module: nn.Module, part: str) -> Iterator[None]:
    original = module.forward
    module.forward = _within(original, part)
    yield
    del module.forward


def _within(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        with record_function(_SCOPE + part):
            return function(*args, **kwargs)

    return run
