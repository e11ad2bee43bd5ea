"""A stage's modules as one call of the operator that runs whole stages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.modules.module as module_hooks
from torch import Tensor, nn
from torch.utils.module_tracker import ModuleTracker

from dnw_graph.message_passing.backend import takes_slices
from dnw_graph.message_passing.edge_index import EdgeIndex
from dnw_graph.message_passing.stage_operator import run_stage
from dnw_graph.message_passing.stage_pass import NodeParameters
from dnw_graph.message_passing.stage_spec import StageSpec
from dnw_graph.models.node_operation import BatchNorm, InstanceNorm, NodeOperation
from dnw_graph.models.stage import WiredStage


def refusal(wired: WiredStage, operations: Sequence[NodeOperation], z: Tensor) -> str | None:
    """Why the operator would not do exactly what the modules do, on z [S_0, B, H, W]; None if it would."""
    if (reason := keeps_apart(operations)) is not None:
        return reason
    if not z.numel():
        return "there is no image"
    if not _dtypes_fit(wired, z):
        return f"features are {z.dtype} and weights {wired.weight.dtype}"
    norm = operations[0].norm
    if type(norm) is BatchNorm and norm.training and z[0].numel() == 1:
        # Of one value there is no variance: torch's module says so.
        return "a batch of one pixel has no variance"
    return None


def keeps_apart(operations: Sequence[NodeOperation]) -> str | None:
    """What about a stage's modules the operator cannot do, whatever the features; None if nothing."""
    everywhere = [hook for hooks in _HOOKS for hook in getattr(module_hooks, f"_global{hooks}").values()]
    # Those of torch's FLOP counter and the like only note which module runs.
    if not all(isinstance(getattr(hook, "__self__", None), ModuleTracker) for hook in everywhere):
        return "a hook is registered on all modules"
    for operation in operations:
        for module, kind in ((operation, NodeOperation), (operation.norm, (BatchNorm, InstanceNorm))):
            if (reason := _differs(module, kind)) is not None:
                return reason
    norms = [operation.norm for operation in operations]
    if len({(type(norm), norm.eps, norm.training) for norm in norms}) != 1:
        return "the norms of the stage's levels differ"
    specs = [operation.spec for operation in operations]
    if any(replace(spec, stride=1) != replace(specs[0], stride=1) or spec.stride != 1 for spec in specs[1:]):
        return "the node operations of the stage's levels differ by more than the first one's stride"
    if any(
        isinstance(norm, BatchNorm)
        and not (norm.affine and norm.track_running_stats and norm.momentum is not None)
        for norm in norms
    ):
        return "a batch norm without scale and shift, running statistics or momentum"
    return None


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def _differs(module: nn.Module, kind: type | tuple[type, ...]) -> str | None:
    """Why a module may do something else than its class says; None if it cannot."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    # Subclasses, parametrized modules among them, may compute anything.
    if type(module) not in kinds:
        return f"{type(module).__name__} is not {' or '.join(each.__name__ for each in kinds)}"
    if any(getattr(module, hooks) for hooks in _HOOKS):
        return f"a hook is registered on a {type(module).__name__}"
    if "forward" in vars(module):
        return f"the forward of a {type(module).__name__} was replaced"
    return None


def _dtypes_fit(wired: WiredStage, z: Tensor) -> bool:
    """One dtype; on a GPU also autocast's half floats beside float32 parameters: Triton's kernels can."""
    if not torch.is_autocast_enabled(z.device.type):
        return z.dtype == wired.weight.dtype
    return z.is_cuda and z.dtype == torch.get_autocast_dtype("cuda") and wired.weight.dtype == torch.float32


def run_as_one(wired: WiredStage, operations: Sequence[NodeOperation], z: Tensor) -> Tensor:
    """[S_0, B, H, W] contiguous → [S_n, B, H', W']; batch norms follow the statistics when they train."""
    norms = [operation.norm for operation in operations]
    batch_norms = [norm for norm in norms if isinstance(norm, BatchNorm)]
    trains = norms[0].training
    fixed = [
        (norm.running_mean, norm.running_var)
        for norm in batch_norms
        if not trains and norm.running_mean is not None and norm.running_var is not None
    ]
    means, variances = zip(*fixed, strict=True) if fixed else ((), ())
    spec = spec_of(wired, operations, z.shape[1], z.dtype)
    out, _, mean, variance = run_stage(
        z,
        wired.effective().to(z.dtype),
        NodeParameters(
            torch.cat([norm.weight for norm in norms]),
            torch.cat([norm.bias for norm in norms]),
            torch.cat([operation.kernel for operation in operations]),
        ),
        _indices(wired, spec, z.shape[1]),
        spec,
        (torch.cat(means), torch.cat(variances)) if fixed else None,
    )
    if trains and batch_norms:
        sizes = [norm.num_features for norm in batch_norms]
        pixels = [z[0].numel(), *[out[0].numel()] * (len(sizes) - 1)]
        follow(batch_norms, mean.split(sizes), variance.split(sizes), pixels)
    return out


def spec_of(
    wired: WiredStage, operations: Sequence[NodeOperation], batch: int, dtype: torch.dtype
) -> StageSpec:
    """What the operator is told for a batch of so many images of this dtype."""
    norm = operations[0].norm
    images, factor = wired.gradient_plan(batch)
    return StageSpec(
        wired.stage.schedule,
        replace(operations[0].spec, eps=norm.eps),
        fixed=isinstance(norm, BatchNorm) and not norm.training,
        reach=wired.rule.reach,
        images=images,
        factor=factor,
        backend=wired.resolved_backend(dtype),
    )


def _indices(wired: WiredStage, spec: StageSpec, batch: int) -> list[EdgeIndex]:
    """The index of each block, or that of the whole stage where the backend takes its slices."""
    whole = spec.takes_whole_index(batch) and takes_slices(spec.backend, wired.weight.device)
    return [wired.stage_index()] if whole else wired.indices()


@torch.no_grad()
def follow(
    norms: Sequence[BatchNorm], means: Sequence[Tensor], variances: Sequence[Tensor], counts: Sequence[int]
) -> None:
    """Move running statistics towards those of a batch, as torch's batch norm does.

    means, biased variances  [C] per norm;  counts: numbers that each was taken over
    """
    for norm, mean, variance, count in zip(norms, means, variances, counts, strict=True):
        mean_so_far, variance_so_far, steps = norm.running_mean, norm.running_var, norm.num_batches_tracked
        assert mean_so_far is not None
        assert variance_so_far is not None
        assert steps is not None
        assert norm.momentum is not None
        mean_so_far.lerp_(mean, norm.momentum)
        variance_so_far.lerp_(variance * (count / (count - 1)), norm.momentum)
        steps.add_(1)
