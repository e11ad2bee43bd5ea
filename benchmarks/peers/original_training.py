"""Training by the 2019 method, stated anew in plain torch modules, to be timed and weighed beside ours.

What is stated:
- features [B, C, H, W]; torch's batch norm, instance norm and depthwise convolutions;
- the weights of a stage are one rectangle [targets, sources, 1, 1], with positions that no forward pass
  reads: edges from a level to itself or to an earlier one;
- every forward pass sorts the magnitudes of the whole rectangle, writes a mask through the order of the
  sort, and multiplies; the gradient goes straight through to every position;
- messages are dense 1×1 convolutions of the usable part of the rectangle. MobileNetV1-like: one to each
  level, from all earlier ones of its stage; tiny static: one from each level to all later ones, whose states
  it is added to;
- stochastic gradient descent with momentum, weight decay on every parameter.

Positions that our candidates do not have hold numbers too small to be selected, all different, so that the
sort has its work. The network is then ours: the same wiring, logits, loss and gradients, up to rounding.

Source: Wortsman, Farhadi, Rastegari 2019, sections 3 and 4; written from the description of its numbers
in tests/golden, not from its text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dnw_graph.models.heads import LinearHead, TinyHead
from dnw_graph.models.network import WiredNetwork
from dnw_graph.models.node_operation import NodeOperation
from dnw_graph.models.stage import WiredStage
from dnw_graph.models.stems import ConvStem, TinyStem

if TYPE_CHECKING:
    # Needs pydantic, which a bare machine has not.
    from dnw_graph.config.schema import Optimizer

# Of the largest weight; far below any that is selected.
_NEVER_SELECTED = 1e-12


class StraightThrough(torch.autograd.Function):
    """weight [T, S, 1, 1] → the same with 0 for all but the strongest; every position gets the gradient."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, dropped: int) -> Tensor:
        order = weight.abs().flatten().sort().indices
        mask = torch.empty_like(weight)
        flat = mask.view(-1)
        flat[order[:dropped]] = 0
        flat[order[dropped:]] = 1
        return weight * mask

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


class Rectangle(nn.Module):
    """The weights of one stage, selected anew in every call.

    place  [candidates] int64: where our candidate edges lie in the flat rectangle
    """

    place: Tensor

    def __init__(self, wired: WiredStage, rows: int, columns: int, place: Tensor) -> None:
        super().__init__()
        self.dropped = rows * columns - wired.budget
        values = wired.weight.detach()
        generator = torch.Generator().manual_seed(0)
        flat = torch.empty(rows * columns, dtype=values.dtype).uniform_(-1, 1, generator=generator)
        flat.mul_(_NEVER_SELECTED * float(values.abs().max()))
        flat[place] = values
        self.weight = nn.Parameter(flat.reshape(rows, columns, 1, 1))
        self.register_buffer("place", place, persistent=False)

    def forward(self) -> Tensor:
        return StraightThrough.apply(self.weight, self.dropped)

    @torch.no_grad()
    def wiring(self) -> Tensor:
        """Ids of the selected edges [k] int64, ascending, in our numbering."""
        return torch.nonzero(self().flatten()[self.place]).squeeze(1)


class Block(nn.Module):
    """One stage of the MobileNetV1-like network: each level hears all earlier ones."""

    def __init__(self, wired: WiredStage, operations: list[NodeOperation]) -> None:
        super().__init__()
        levels = wired.stage.levels
        self.sizes = [level.size for level in levels]
        source, target = wired.stage.ends(torch.arange(wired.stage.num_candidates).numpy())
        columns = sum(self.sizes[:-1])
        place = (target - levels[1].first) * columns + source - levels[0].first
        self.graph = Rectangle(wired, sum(self.sizes[1:]), columns, torch.from_numpy(place))
        self.norms = nn.ModuleList(_batch_norm(each.norm) for each in operations)
        self.kernels = nn.ModuleList(_depthwise(each) for each in operations)

    def forward(self, z: Tensor) -> Tensor:
        weight, sent = self.graph(), []
        row = column = 0
        for size, norm, kernel in zip(self.sizes[1:], self.norms, self.kernels, strict=True):
            sent.append(kernel(F.relu(norm(z))))
            column += z.shape[1]
            z = F.conv2d(torch.cat(sent, dim=1), weight[row : row + size, :column])
            row += size
        return z


class TinyBody(nn.Module):
    """The tiny static network: each group sends to all later ones, the readout to itself once more."""

    def __init__(self, wired: WiredStage, operations: list[NodeOperation], readout: int) -> None:
        super().__init__()
        groups = wired.stage.levels[:-1]
        self.sizes, self.readout = [level.size for level in groups], readout
        source, target = wired.stage.ends(torch.arange(wired.stage.num_candidates).numpy())
        nodes = groups[-1].end
        # A readout node is here the node that it starts from.
        target[target >= nodes] -= readout
        self.graph = Rectangle(wired, nodes, nodes, torch.from_numpy(target * nodes + source))
        self.norms = nn.ModuleList(_instance_norm(each.norm) for each in operations)
        self.kernels = nn.ModuleList(_depthwise(each) for each in operations)

    def forward(self, z: Tensor) -> Tensor:
        weight, later = self.graph(), None
        column = 0
        for size, norm, kernel in zip(self.sizes, self.norms, self.kernels, strict=True):
            if later is not None:
                z, later = later.split([size, later.shape[1] - size], dim=1)
            h = kernel(F.relu(norm(z)))
            first, column = column, column + size
            if column == len(weight):
                break
            sent = F.conv2d(h, weight[column:, first:column])
            later = sent if later is None else later + sent
        return z[:, -self.readout :] + F.conv2d(h, weight[-self.readout :, first:])


class TinyReadout(nn.Module):
    """Rows and columns 2 and 3 of the 8×8 maps, averaged, then linear."""

    def __init__(self, head: TinyHead) -> None:
        super().__init__()
        self.linear = _like(head.linear, nn.Linear(head.linear.in_features, head.linear.out_features))

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(F.avg_pool2d(z[:, :, 2:5, 2:5], 2).flatten(1))


class Original(nn.Module):
    """Images [B, 3, S, S] → logits, with the weights of one of our networks, copied."""

    def __init__(self, model: WiredNetwork) -> None:
        super().__init__()
        stages = model.body_stages()
        operations = [model.body.node_operations(wired) for wired in stages]
        self.stem, self.head = _stem(model.stem), _head(model.head)
        self.blocks: nn.Sequential
        if model.network == "tiny_static":
            self.blocks = nn.Sequential(TinyBody(stages[0], operations[0], stages[0].stage.start))
        else:
            self.blocks = nn.Sequential(*map(Block, stages, operations))

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.blocks(self.stem(images)))

    def rectangles(self) -> list[Rectangle]:
        """The weights of every stage."""
        return [each for each in self.modules() if isinstance(each, Rectangle)]


class OriginalLearner:
    """A model and its optimiser; `step` has the signature of our `Learner.step`.

    loss  of the last step's batch
    """

    loss: float

    def __init__(self, model: WiredNetwork, options: Optimizer) -> None:
        self.model = Original(model).train()
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=options.lr,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            nesterov=options.nesterov,
        )

    def step(self, step: int, parts: Iterable[tuple[Tensor, Tensor]], lr: float) -> None:
        """One optimiser step on one batch; the selection is in its forward pass."""
        self.optimizer.zero_grad(set_to_none=True)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for images, labels in parts:
            loss = F.cross_entropy(self.model(images), labels)
            loss.backward()
            self.loss = loss.item()
        self.optimizer.step()


def _stem(stem: nn.Module) -> nn.Module:
    if isinstance(stem, ConvStem):
        return _convolution(stem.conv)
    assert isinstance(stem, TinyStem)
    return nn.Sequential(
        _convolution(stem.conv),
        _batch_norm(stem.conv_norm),
        nn.ReLU(),
        _convolution(stem.depthwise),
        _convolution(stem.pointwise),
        _batch_norm(stem.norm),
    )


def _head(head: nn.Module) -> nn.Module:
    if isinstance(head, TinyHead):
        return TinyReadout(head)
    assert isinstance(head, LinearHead)
    linear = _like(head.linear, nn.Linear(head.linear.in_features, head.linear.out_features))
    return nn.Sequential(_batch_norm(head.norm), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)


def _convolution(ours: nn.Conv2d) -> nn.Module:
    return _like(
        ours,
        nn.Conv2d(
            ours.in_channels,
            ours.out_channels,
            ours.kernel_size,  # type: ignore[arg-type]
            stride=ours.stride,  # type: ignore[arg-type]
            padding=ours.padding,  # type: ignore[arg-type]
            groups=ours.groups,
            bias=ours.bias is not None,
        ),
    )


def _depthwise(operation: NodeOperation) -> nn.Module:
    nodes = len(operation.kernel)
    convolution = nn.Conv2d(
        nodes, nodes, 3, stride=operation.spec.stride, padding=1, groups=nodes, bias=False
    )
    convolution.weight.data = operation.kernel.detach().clone()
    return convolution


def _batch_norm(ours: Any) -> nn.Module:
    return _like(ours, nn.BatchNorm2d(len(ours.weight), eps=ours.eps))


def _instance_norm(ours: Any) -> nn.Module:
    return _like(ours, nn.InstanceNorm2d(len(ours.weight), eps=ours.eps, affine=True))


def _like(ours: nn.Module, theirs: nn.Module) -> nn.Module:
    theirs.to(next(ours.parameters()).dtype).load_state_dict(ours.state_dict())
    return theirs
