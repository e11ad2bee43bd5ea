"""The score of the MicroNet challenge (NeurIPS 2019): storage / P + operations / O, the lower the better.

Storage: a 32-bit value counts 1, a b-bit one b/32; a sparse tensor its nonzeros and one bit per position.
Operations: multiplications and additions count 1 each at 32 bits. A network in which nothing is below 16 bits
may count its values and multiplications as 16 bits, that is half; additions stay.
As the organisers' counter does: a sum of n products is n multiplications and n − 1 additions, a bias one more
addition per output, a ReLU one multiplication per output, the mean of s² pixels one multiplication and
s² − 1 additions. A norm is folded into what it reads wherever that is linear and nothing else reads it: its
shift is a bias then.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from torch import nn

from dnw_graph.accounting.published import rectangles
from dnw_graph.errors import InputError
from dnw_graph.graph.status import CONSTANT, LIVE
from dnw_graph.models.heads import WiredClassifier
from dnw_graph.models.lower import lower
from dnw_graph.models.network import WiredNetwork
from dnw_graph.program.fold import folded
from dnw_graph.program.program import LOGITS, Program, norm_of
from dnw_graph.program.split import from_constants, split
from dnw_graph.program.steps import (
    Convolution,
    Edges,
    Integrate,
    Linear,
    Messages,
    NodeOperation,
    Norm,
    Pool,
    Step,
    sources_of,
    targets_of,
)


@dataclass(frozen=True)
class Task:
    """storage, operations: of which each adds 1 to a score;  correct: so many of the images must be right."""

    name: str
    storage: int
    operations: int
    correct: int
    images: int


TASKS = {
    "imagenet": Task("ImageNet", 6_900_000, 1_170_000_000, 37_500, 50_000),
    "cifar100": Task("CIFAR-100", 36_500_000, 10_490_000_000, 8_000, 10_000),
}


@dataclass(frozen=True)
class Tally:
    """values: stored numbers, bits of masks apart;  other: operations that count 1 at any width."""

    values: int = 0
    multiplications: int = 0
    additions: int = 0
    other: int = 0

    def __add__(self, more: Tally) -> Tally:
        return Tally(
            self.values + more.values,
            self.multiplications + more.multiplications,
            self.additions + more.additions,
            self.other + more.other,
        )


@dataclass(frozen=True)
class Score:
    """mask: which positions have a bit;  halved: whether the 16-bit allowance is used."""

    mask: str
    halved: bool
    storage: float
    operations: float
    score: float


@dataclass(frozen=True)
class MicroNet:
    """What counts in a network: per part, and the bits of its masks by reading.

    bits  "candidates": one per edge that could exist; "rectangles of 2019": one per position of the full
          tensors of that code; missing for networks of another shape
    """

    parts: dict[str, Tally]
    bits: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> Tally:
        return sum(self.parts.values(), Tally())

    def scores(self, task: Task) -> list[Score]:
        """With and without the allowance, for each reading of the masks."""
        found = []
        for mask, bits in self.bits.items():
            for halved in (False, True):
                width, total = 0.5 if halved else 1.0, self.total
                storage = total.values * width + bits / 32
                operations = total.multiplications * width + total.additions + total.other
                score = storage / task.storage + operations / task.operations
                found.append(Score(mask, halved, storage, operations, score))
        return found


@dataclass(frozen=True)
class Entry:
    """A network in a task.  top1: fraction of the task's images that it gets right; None: not known."""

    counted: MicroNet
    task: Task
    top1: float | None = None

    @property
    def eligible(self) -> bool | None:
        """Whether enough images are right, unrounded; None: not known."""
        return None if self.top1 is None else round(self.top1 * self.task.images) >= self.task.correct

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        parts = {name: asdict(tally) for name, tally in self.counted.parts.items()}
        return {
            "task": asdict(self.task),
            "parts": parts | {"total": asdict(self.counted.total)},
            "bits": self.counted.bits,
            "scores": [asdict(score) for score in self.counted.scores(self.task)],
            "top1": self.top1,
            "eligible": self.eligible,
        }


def micronet(model: nn.Module) -> MicroNet:
    """What the challenge counts in a wired network for one image of its size, of its live nodes and edges.

    What constant nodes send is made once, so that of them their values count, and one addition per pixel of
    what hears them. Raises InputError for a dense network, and for one in continuous time, whose work is the
    solver's choice.
    """
    if not isinstance(model, WiredNetwork):
        raise InputError(f"{type(model).__name__} is dense; the MicroNet score is made for wired networks")
    if model.layout.evaluations == 0:
        raise InputError("a network in continuous time has no fixed number of operations, and so no score")
    live, constant = split(lower(model))
    parts = defaultdict[str, Tally](Tally)
    for values in (_values(live), _values_of_constants(model, live)):
        for part, count in values.items():
            parts[part] += Tally(count)
    for part, work in _work(folded(live), constant).items():
        parts[part] += work
    return MicroNet({part: parts[part] for part in parts if part != "constants"}, _bits(model))


def task_of(dataset: str) -> Task:
    """The task that a data set is of; InputError if it is none of the challenge's."""
    if dataset not in TASKS:
        raise InputError(
            f"data.dataset {dataset} was no task of MicroNet; scores exist for {', '.join(TASKS)}"
        )
    return TASKS[dataset]


def _bits(model: WiredNetwork) -> dict[str, int]:
    head = model.head.wiring.stage.num_candidates if isinstance(model.head, WiredClassifier) else 0
    bits = {"candidates": model.layout.num_candidates + head}
    if model.layout.evaluations is None and not model.layout.has_starts:
        full = sum(block.sources * block.targets for block in rectangles(model.layout))
        bits["rectangles of 2019"] = full + head
    return bits


# Operations of an activation per output.
_ACTIVATIONS = {
    "identity": Tally(),
    "relu": Tally(multiplications=1),
    "relu6": Tally(multiplications=1),
    "hardswish": Tally(multiplications=3, additions=1),
    "silu": Tally(multiplications=2, additions=1, other=1),
}


def _times(tally: Tally, count: int) -> Tally:
    return Tally(*(count * number for number in asdict(tally).values()))


def _values(program: Program) -> dict[str, int]:
    """Stored numbers per part; evaluations of one graph share theirs."""
    values, stored = defaultdict[str, int](int), set[str]()
    for step in program.steps:
        leaves = [program.optional(step, leaf) for leaf in ("weight", "kernel", "bias")]
        found = sum(leaf.size for leaf in leaves if leaf is not None)
        if isinstance(step, (NodeOperation, Norm)) and norm_of(step)[0] != "none":
            found += program.channels[step.source] * _numbers_of_norm(program, step)
        values[step.part] += 0 if step.name in stored else found
        stored.add(step.name)
    return values


def _values_of_constants(model: WiredNetwork, live: Program) -> dict[str, int]:
    """Kernels, norms and edges of constant nodes; the last level's disappear in the classifier's bias."""
    values = defaultdict[str, int](int)
    data, levels = model.wiring_data(), model.layout.levels
    status, last = data.nodes["status"], levels[-1].first
    senders = {step.source.partition("@")[0]: step for step in live.steps if isinstance(step, NodeOperation)}
    for stage in model.layout.stages:
        part = f"stage_{stage.index}"
        for level in stage.levels[:-1]:
            step = senders.get(f"z{level.index}")
            nodes = int((status[level.first : level.end] == CONSTANT).sum())
            if step is not None:
                values[part] += nodes * (step.spec.kernel_size**2 + _numbers_of_norm(live, step))
    source, target = (data.edges[end].numpy() for end in ("source", "target"))
    heard = (status[target] == LIVE) | ((status[target] == CONSTANT) & (target < last))
    for stage_of_edge in data.nodes["stage"][target[(status[source] == CONSTANT) & heard]]:
        values[f"stage_{stage_of_edge}"] += 1
    return values


def _work(program: Program, constant: Program | None) -> dict[str, Tally]:
    """Operations per part of a flat program with folded norms."""
    shapes, parts, sums = program.shapes(), defaultdict[str, Tally](Tally), _Sums(program)
    for step in program.steps:
        assert not isinstance(step, Integrate)
        parts[step.part] += _of_step(step, program, shapes, sums)
    if constant is not None:
        sums.hear_constants(constant)
    for part, state, terms in sums.of_states():
        pixels = shapes[state][1] * shapes[state][2]
        parts[part] += Tally(additions=int(np.maximum(terms - 1, 0).sum()) * pixels)
    return parts


def _of_step(step: Step, program: Program, shapes: dict[str, Any], sums: _Sums) -> Tally:
    """Operations of one step, without the additions of sums that it may share with others."""
    if isinstance(step, (Convolution, Linear)):
        channels, height, width = shapes[step.target]
        weight, bias = program.tensor(step, "weight"), program.optional(step, "bias")
        terms = weight[0].size if len(weight) else 0
        sums.add(step.part, step.target, np.full(channels, terms + (bias is not None)))
        activation = step.activation if isinstance(step, Convolution) else "identity"
        products = Tally(multiplications=weight.size * height * width)
        return products + _times(_ACTIVATIONS[activation], channels * height * width)
    if isinstance(step, NodeOperation):
        kernel, (_, height, width) = program.tensor(step, "kernel"), shapes[step.target]
        outputs, terms = len(kernel) * height * width, step.spec.kernel_size**2
        made = Tally(multiplications=terms * outputs, additions=(terms - 1) * outputs)
        return made + _normed(step, program, shapes, sums, step.spec.activation)
    if isinstance(step, Norm):
        return _normed(step, program, shapes, sums, step.activation)
    if isinstance(step, Messages):
        edges, (_, height, width) = program.tensor(step, "weight").size, shapes[step.targets[0]]
        sums.hear(step)
        return Tally(multiplications=edges * height * width)
    if isinstance(step, Edges):
        sums.hear(step)
    if isinstance(step, Pool):
        channels, height, width = shapes[step.source]
        pixels = height * width if step.window is None else (step.window[1] - step.window[0]) ** 2
        return Tally(multiplications=channels, additions=channels * (pixels - 1))
    return Tally()


def _normed(
    step: NodeOperation | Norm, program: Program, shapes: dict[str, Any], sums: _Sums, activation: str
) -> Tally:
    """A norm, then an activation."""
    channels, height, width = shapes[step.source]
    pixels, (kind, _) = height * width, norm_of(step)
    made = _times(_ACTIVATIONS[activation], channels * pixels)
    if kind == "none":
        return made
    if kind == "affine":
        if _takes_norm(program, step):
            sums.add(step.part, step.source, np.ones(channels, dtype=np.int64))
            return made
        return made + Tally(multiplications=channels * pixels, additions=channels * pixels)
    # Mean; differences, their squares and mean; eps, root, scale; one product and one shift per pixel.
    each = Tally(multiplications=2 * pixels + 3, additions=4 * pixels - 1, other=1)
    return made + _times(each, channels)


def _numbers_of_norm(program: Program, step: NodeOperation | Norm) -> int:
    """Stored per channel: scale and shift; a shift that becomes a bias; none if there is a bias already."""
    if not _takes_norm(program, step):
        return 2
    makers = [each for each in program.steps if step.source in targets_of(each)]
    return int(all(program.optional(each, "bias") is None for each in makers))


def _takes_norm(program: Program, step: NodeOperation | Norm) -> bool:
    """Whether a norm's scale can go into the weights that make its source, and its shift be a bias."""
    if norm_of(step)[0] not in ("batch", "affine"):
        return False
    state, steps = step.source, program.steps
    readers = [each for each in steps if state in sources_of(each)]
    makers = [each for each in steps if state in targets_of(each) and each.part != "constants"]
    linear = all(
        isinstance(each, Messages) or (isinstance(each, Convolution) and each.activation == "identity")
        for each in makers
    )
    return len(readers) == 1 and linear


class _Sums:
    """How many terms each channel of a state is the sum of."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.terms: dict[str, Any] = {}
        self.parts: dict[str, str] = {}

    def add(self, part: str, state: str, terms: Any) -> None:
        self.terms[state] = self.terms.get(state, 0) + terms
        self.parts.setdefault(state, part)

    def hear(self, step: Edges) -> None:
        """Messages and other maps; those from constants are counted where it is known which there are."""
        if step.part == "constants":
            return
        terms = np.bincount(self.program.tensor(step, "row"), minlength=sum(step.sizes))
        for name, mine in zip(step.targets, np.split(terms, np.cumsum(step.sizes)[:-1]), strict=True):
            self.add(step.part, name, mine)

    def hear_constants(self, constant: Program) -> None:
        """What constant nodes send is one more term of a channel that hears them; of a logit, its bias."""
        names = {name: name.split(": ", 1)[1] for name in from_constants(constant)}
        heard = {name: np.zeros(constant.channels[name], dtype=bool) for name in names}
        for step in constant.steps:
            if isinstance(step, Linear) and step.target in names:
                heard[step.target][:] = True
            elif isinstance(step, Edges):
                reached = np.zeros(sum(step.sizes), dtype=bool)
                reached[constant.tensor(step, "row")] = True
                bounds = np.cumsum(step.sizes)[:-1]
                for name, mine in zip(step.targets, np.split(reached, bounds), strict=True):
                    if name in names:
                        heard[name] |= mine
        for name, rows in heard.items():
            state = names[name]
            has_bias = any(
                state in targets_of(step) and self.program.optional(step, "bias") is not None
                for step in self.program.steps
            )
            # Constants that reach a logit disappear in its bias.
            if state == LOGITS and has_bias:
                continue
            self.add(self.parts[state], state, rows.astype(np.int64))

    def of_states(self) -> list[tuple[str, str, Any]]:
        return [(self.parts[state], state, terms) for state, terms in self.terms.items()]
